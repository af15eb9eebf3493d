//! Tables made by hand.

use super::*;

/// A table with these rows, of four bytes each (start, length, landing pad, action), and these actions.
fn table(rows: &[[u8; 4]], actions: &[u8]) -> Vec<u8> {
    let length = u8::try_from(4 * rows.len()).unwrap();
    // No base, no types, rows in the format of seven bits a byte.
    let mut table = vec![OMITTED, OMITTED, 0x01, length];
    table.extend(rows.iter().flatten());
    table.extend(actions);
    table
}

fn look(table: &[u8], call: usize) -> Option<Call> {
    // SAFETY: each test gives a whole table, or one that is given up where it is not understood.
    unsafe { look_up(table.as_ptr(), call) }
}

const CATCH: [u8; 2] = [1, 0];
const FILTER: [u8; 2] = [0x7f, 0];
const CLEANUP: [u8; 2] = [0, 0];

#[test]
fn a_row_says_what_happens_to_its_calls() {
    let rows = [
        [0, 4, 0, 0],
        [4, 4, 40, 0],
        [8, 4, 40, 1],
        [12, 4, 40, 3],
        [16, 4, 40, 5],
    ];
    let table = table(&rows, &[CATCH, FILTER, CLEANUP].concat());
    for (call, expected) in [
        (0, Call::Passes),
        (3, Call::Passes),
        (4, Call::Passes),
        (8, Call::Catches),
        (11, Call::Catches),
        (12, Call::Aborts),
        (15, Call::Aborts),
        (16, Call::Passes),
    ] {
        assert_eq!(look(&table, call), Some(expected), "{call}");
    }
}

#[test]
fn a_call_in_no_row_is_told_by_where_it_lies() {
    let table = table(&[[4, 4, 40, 0], [16, 4, 60, 0], [42, 2, 0, 0]], &[]);
    for call in [0, 8, 15, 20, 39] {
        assert_eq!(look(&table, call), Some(Call::Unlisted { in_pad: false }));
    }
    for call in [40, 41, 44, 1000] {
        assert_eq!(look(&table, call), Some(Call::Unlisted { in_pad: true }));
    }
    // Landing pads are counted from elsewhere: it may be behind one.
    let elsewhere = [0x0b, 1, 0, 0, 0, OMITTED, 0x01, 4, 4, 4, 40, 0];
    assert_eq!(look(&elsewhere, 0), Some(Call::Unlisted { in_pad: true }));
    assert_eq!(look(&elsewhere, 5), Some(Call::Passes));
}

#[test]
fn a_table_without_rows_lists_nothing() {
    let table = table(&[], &[]);
    assert_eq!(look(&table, 0), Some(Call::Unlisted { in_pad: false }));
}

#[test]
fn a_chain_is_read_to_its_end() {
    let row = [[0, 4, 40, 1]];
    // Each action leads to the next one, which lies a byte behind where the distance does.
    for (actions, expected) in [
        ([1, 1, 0x7f, 0, 0, 0], Call::Aborts),
        ([1, 1, 1, 0, 0, 0], Call::Catches),
        ([1, 1, 0, 0, 0, 0], Call::Catches),
        ([0, 1, 0, 0, 0, 0], Call::Passes),
        ([0, 3, 0, 0, 0x7f, 0], Call::Aborts),
    ] {
        assert_eq!(
            look(&table(&row, &actions), 0),
            Some(expected),
            "{actions:?}"
        );
    }
    // And back: the second action is followed by the first.
    let back = [0x7f, 0, 1, 0x7d];
    assert_eq!(look(&table(&[[0, 4, 40, 3]], &back), 0), Some(Call::Aborts));
}

#[test]
fn a_chain_without_an_end_is_not_understood() {
    // The distance leads back to the same action.
    assert_eq!(look(&table(&[[0, 4, 40, 1]], &[1, 0x7f]), 0), None);
}

#[test]
fn rows_are_read_in_each_format() {
    fn row<const N: usize>(values: [[u8; N]; 3]) -> Vec<u8> {
        values.concat()
    }
    for (format, row) in [
        (0x00, row([1000_usize, 50, 2000].map(usize::to_le_bytes))),
        (0x02, row([1000_u16, 50, 2000].map(u16::to_le_bytes))),
        (0x03, row([1000_u32, 50, 2000].map(u32::to_le_bytes))),
        (0x04, row([1000_u64, 50, 2000].map(u64::to_le_bytes))),
        (0x0a, row([1000_i16, 50, 2000].map(i16::to_le_bytes))),
        (0x0b, row([1000_i32, 50, 2000].map(i32::to_le_bytes))),
        (0x0c, row([1000_i64, 50, 2000].map(i64::to_le_bytes))),
        (0x01, vec![0xe8, 0x07, 50, 0xd0, 0x0f]),
        (0x09, vec![0xe8, 0x07, 50, 0xd0, 0x0f]),
    ] {
        let length = u8::try_from(row.len() + 1).unwrap();
        let mut table = vec![OMITTED, 0x9b, 0x81, 0x01, format, length];
        table.extend(row);
        table.extend([1, 0x7f, 0]);
        for call in [1000, 1049] {
            assert_eq!(look(&table, call), Some(Call::Aborts), "{format:#x}");
        }
        for call in [0, 999, 1050] {
            let before = Call::Unlisted { in_pad: false };
            assert_eq!(look(&table, call), Some(before), "{format:#x}");
        }
    }
}

#[test]
fn what_is_not_known_is_not_understood() {
    let whole = table(&[[0, 4, 40, 1]], &FILTER);
    // Formats that do not exist, and offsets that are relative to something.
    for format in [0x05, 0x08, 0x0f, 0x13, 0x9b, OMITTED] {
        let mut table = whole.clone();
        table[2] = format;
        assert_eq!(look(&table, 0), None, "{format:#x}");
    }
    // A number that is too long, and one that is negative.
    let mut long = vec![OMITTED, OMITTED, 0x01];
    long.extend([0xff; 10]);
    long.push(0);
    assert_eq!(look(&long, 0), None);
    let negative = [OMITTED, OMITTED, 0x0a, 7, 0xff, 0xff, 4, 0, 40, 0, 1];
    assert_eq!(look(&negative, 0), None);
}
