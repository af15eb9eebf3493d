//! A small site with everything that goes wrong on the web, so that a crawl without arguments has something to show.

use crate::server::{Answer, Body, Site};
use std::io::{self, Write};
use std::time::Duration;
use sylvan::thread::sleep;

/// Nobody listens on this port: connections to it are refused.
pub const DEAD_HOST: &str = "http://127.0.0.1:1/";

/// The site; all of it is made up on the spot.
pub struct Embedded;

impl Site for Embedded {
    fn answer(&self, target: &str) -> Answer {
        let (path, _query) = target.split_once('?').unwrap_or((target, ""));
        let (section, rest) = path[1.min(path.len())..]
            .split_once('/')
            .unwrap_or((path, ""));
        match section {
            "articles" => article(rest),
            "slow" => slow(rest),
            "loop" => page(&["/loop/a", "/loop/b", "/loop/a#again", "/"]),
            "redirect" => redirect(rest),
            "charset" => charset(rest),
            "private" => page(&["/"]),
            "files" => file(rest),
            "huge" => huge(rest),
            "late" => late(rest),
            "error" => Answer::html(
                rest.parse().unwrap_or(500),
                "<a href=/never-followed>an error</a>",
            ),
            _ => single(path),
        }
    }
}

fn single(path: &str) -> Answer {
    match path {
        "/" => Answer::html(200, HOME),
        "/robots.txt" => {
            Answer::new(200, Body::Bytes(ROBOTS.into())).with("Content-Type", "text/plain")
        }
        "/base.html" => Answer::html(200, "<base href='/deep/er/'><a href=page.html>one</a>"),
        "/weird.html" => Answer::html(200, WEIRD),
        "/spellings.html" => Answer::html(200, SPELLINGS),
        "/about.html" | "/deep/er/page.html" | "/area" | "/frame" | "/refreshed" => page(&["/"]),
        "/weird/entity" | "/weird/unquoted" | "/weird/space" | "/weird/upper" => page(&["/"]),
        _ => Answer::html(404, "<a href=/never-followed>not here</a>"),
    }
}

const ROBOTS: &str = "User-agent: *\nDisallow: /private/\nAllow: /private/open.html\n";

const HOME: &str = "<!doctype html><meta charset=utf-8><title>Everything that goes wrong</title>
<a href=/about.html>plain</a> <a href=articles/1>a chain of 20 articles</a> <a href=/loop/a>a loop</a>
<a href=/slow/1></a> <a href=/slow/2></a> <a href=/slow/3></a> <a href=/slow/4></a> <a href=/slow/5>slow</a>
<a href=/redirect/moved></a> <a href=/redirect/chain/3></a> <a href=/redirect/outside></a>
<a href=/redirect/ring/a></a> <a href=/redirect/itself></a> <a href=/redirect/endless/1></a> <a href=/redirect/nowhere></a>
<a href=/missing></a> <a href=/gone-too></a> <a href=/error/410></a> <a href=/error/500></a> <a href=/error/503></a>
<a href=http://127.0.0.1:1/dead>a dead host</a> <a href=http://127.0.0.1:1/dead/too>and another page of it</a>
<a href=/charset/latin1></a> <a href=/charset/shift_jis></a> <a href=/charset/utf-16></a> <a href=/charset/windows-1251></a>
<a href=/private/secret.html>not for robots</a> <a href=/private/open.html>but this is</a>
<a href=/huge/declared></a> <a href=/huge/endless></a> <a href=/files/data.json></a> <a href=/files/picture.png></a>
<a href=/late/trickle></a> <a href=/late/silent></a> <a href=/late/early-end></a>
<a href=/base.html></a> <a href=/weird.html></a> <a href=/spellings.html></a>
<a href=http://elsewhere.example/>another host</a>";

const WEIRD: &str = "<A HREF=/weird/upper><a href=/weird/unquoted><a href='/weird/entity?a=1&amp;b=2'>
<a href='\n  /weird/space\t'><a href='javascript:void(0)'><a href=mailto:someone@example.org><a href='data:text/html,x'>
<a href='http://[broken'><a href=#here><a href><!-- <a href=/in-a-comment> --><script>'<a href=/in-a-script>'</script>
<textarea><a href=/in-a-text></textarea><map><area href=/area></map><noscript><iframe src=/frame></iframe></noscript>
<meta http-equiv=Refresh content='5; URL=\"/refreshed\"'><b <p <a <div></span><a href=\"/never-closed";

const SPELLINGS: &str = "<a href=/about.html#top><a href=./about.html><a href=articles/../about.html>
<a href=/%61bout.html#not-the-same-to-a-url><a href='\\about.html'><a href=//127.0.0.1:1/dead#part>";

fn article(number: &str) -> Answer {
    match number.parse::<u32>() {
        Ok(number @ 1..20) => page(&["/", &format!("/articles/{}", number + 1), "/articles/1"]),
        Ok(20) => page(&["/", "/articles/1"]),
        _ => Answer::html(404, "no such article"),
    }
}

fn slow(_number: &str) -> Answer {
    sleep(Duration::from_millis(300));
    page(&["/"])
}

fn redirect(rest: &str) -> Answer {
    let to = |status, place: &str| Answer::html(status, "").with("Location", place);
    match rest.split_once('/').unwrap_or((rest, "")) {
        ("moved", _) => to(301, "/about.html"),
        ("chain", "3") => to(302, "2"),
        ("chain", "2") => to(303, "1"),
        ("chain", "1") => to(307, "/articles/20#end"),
        ("ring", "a") => to(302, "b"),
        ("ring", "b") => to(308, "a"),
        ("itself", _) => to(302, "/redirect/itself"),
        ("endless", number) => to(302, &(number.parse::<u64>().unwrap_or(0) + 1).to_string()),
        ("outside", _) => to(301, "http://elsewhere.example/welcome"),
        _ => Answer::html(302, ""),
    }
}

fn charset(rest: &str) -> Answer {
    let answer = |content_type: &str, body: Vec<u8>| {
        Answer::new(200, Body::Bytes(body)).with("Content-Type", content_type)
    };
    match rest {
        "latin1" => answer(
            "text/html; charset=ISO-8859-1",
            b"<a href=caf\xe9>".to_vec(),
        ),
        // In this charset the second byte of a character can be a backslash.
        "shift_jis" => answer(
            "text/html",
            b"<meta charset=shift_jis><a href=\x95\x5c>".to_vec(),
        ),
        "utf-16" => {
            let text = "\u{feff}<a href=/charset/%E2%82%AC>";
            answer(
                "text/html",
                text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            )
        }
        // Queries are sent in the page's own charset.
        "windows-1251" => {
            let meta = b"<meta http-equiv=content-type content='text/html; charset=windows-1251'>";
            answer(
                "text/html",
                [&meta[..], b"<a href='search?q=\xef\xf0'>"].concat(),
            )
        }
        "caf%C3%A9" | "%E8%A1%A8" | "%E2%82%AC" | "search" => page(&["/"]),
        _ => Answer::html(404, ""),
    }
}

fn file(name: &str) -> Answer {
    match name {
        "data.json" => {
            Answer::new(200, Body::Bytes(b"{}".to_vec())).with("Content-Type", "application/json")
        }
        _ => Answer::new(200, Body::Bytes(vec![0x89; 100])).with("Content-Type", "image/png"),
    }
}

fn huge(kind: &str) -> Answer {
    let length = (kind == "declared").then_some(1 << 40);
    custom(length, |client| {
        loop {
            client.write_all(&[b' '; 64 * 1024])?;
        }
    })
}

fn late(kind: &str) -> Answer {
    let minute = 60_000;
    match kind {
        "silent" => {
            sleep(Duration::from_millis(minute));
            page(&[])
        }
        "trickle" => custom(Some(minute), move |client| {
            (0..minute / 100).try_for_each(|_| {
                client.write_all(b" ")?;
                sleep(Duration::from_millis(100));
                Ok(())
            })
        }),
        _ => custom(Some(1000), |client| {
            client.write_all(b"<a href=/never-followed>and then")
        }),
    }
}

fn custom(
    length: Option<u64>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + 'static,
) -> Answer {
    let write = Box::new(write);
    Answer::new(200, Body::Custom { length, write }).with("Content-Type", "text/html")
}

fn page(links: &[&str]) -> Answer {
    let links: String = links
        .iter()
        .map(|link| format!("<a href='{link}'>{link}</a>\n"))
        .collect();
    Answer::html(
        200,
        format!("<!doctype html><title>A page</title>\n{links}"),
    )
}
