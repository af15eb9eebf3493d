//! What a run has found out, as it lies in report.json.

use crate::peers;
use crate::statistics::Spread;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

#[derive(Serialize, Deserialize)]
pub struct Report {
    /// What it was measured on, by what it is called.
    pub machine: BTreeMap<String, String>,
    pub rounds: usize,
    /// A part of the work only was done.
    pub quick: bool,
    pub warnings: Vec<String>,
    pub cases: Vec<CaseResult>,
}

#[derive(Serialize, Deserialize)]
pub struct CaseResult {
    pub name: String,
    pub title: String,
    /// Each is a column; the first is what the chart shows.
    pub metrics: Vec<Metric>,
    pub marks: Vec<Mark>,
    pub peers: Vec<PeerResult>,
}

#[derive(Serialize, Deserialize)]
pub struct PeerResult {
    pub name: String,
    /// Those of each round; empty for a round that failed.
    pub rounds: Vec<Figures>,
    pub failure: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Metric {
    /// What the programs call it.
    pub key: String,
    pub title: String,
    pub higher_is_better: bool,
    /// Whether sylvan's ratio to each peer is told.
    pub compared: bool,
}

/// What sylvan is to reach.
#[derive(Clone, Serialize, Deserialize)]
pub struct Mark {
    pub metric: String,
    /// Not more than this, or not less if higher is better,
    pub bound: f64,
    /// times that of this peer in the same round, if it is relative.
    pub peer: Option<String>,
}

impl CaseResult {
    pub fn peer(&self, name: &str) -> Option<&PeerResult> {
        self.peers.iter().find(|peer| peer.name == name)
    }

    pub fn metric(&self, key: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.key == key)
    }

    /// Sylvan's figure divided by the peer's of the same round.
    pub fn ratio(&self, peer: &PeerResult, key: &str) -> Option<Spread> {
        let ours = self.peer(peers::OURS)?;
        let pairs = ours.rounds.iter().zip(&peer.rounds);
        let ratios = pairs.filter_map(|(ours, theirs)| Some(ours.get(key)? / theirs.get(key)?));
        Spread::of(ratios.filter(|ratio| ratio.is_finite()).collect())
    }

    /// Whether sylvan reaches a mark, and its figure or ratio.
    pub fn judge(&self, mark: &Mark) -> Option<(bool, f64)> {
        let value = match &mark.peer {
            Some(peer) => self.ratio(self.peer(peer)?, &mark.metric)?.median,
            None => self.peer(peers::OURS)?.spread(&mark.metric)?.median,
        };
        let higher_is_better = self.metric(&mark.metric)?.higher_is_better;
        let met = if higher_is_better {
            value >= mark.bound
        } else {
            value <= mark.bound
        };
        Some((met, value))
    }
}

impl PeerResult {
    pub fn spread(&self, key: &str) -> Option<Spread> {
        Spread::of(
            self.rounds
                .iter()
                .filter_map(|it| it.get(key).copied())
                .collect(),
        )
    }

    pub fn is_limit(&self) -> bool {
        self.name.starts_with(peers::LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, figures: &[f64]) -> PeerResult {
        let rounds = figures.iter();
        PeerResult {
            name: name.to_owned(),
            rounds: rounds
                .map(|it| Figures::from([("ns".to_owned(), *it)]))
                .collect(),
            failure: None,
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let metric = Metric {
            key: "ns".to_owned(),
            title: "ns".to_owned(),
            higher_is_better: false,
            compared: true,
        };
        let case = CaseResult {
            name: String::new(),
            title: String::new(),
            metrics: vec![metric],
            marks: Vec::new(),
            peers: vec![
                peer("sylvan", &[10.0, 20.0, 30.0]),
                peer("other", &[20.0, 40.0, 20.0]),
            ],
        };
        let ratio = case.ratio(&case.peers[1], "ns").unwrap();
        assert_eq!((ratio.median, ratio.least, ratio.most), (0.5, 0.5, 1.5));
        let mut mark = Mark {
            metric: "ns".to_owned(),
            bound: 0.5,
            peer: Some("other".to_owned()),
        };
        assert_eq!(case.judge(&mark), Some((true, 0.5)));
        mark.peer = None;
        assert_eq!(case.judge(&mark), Some((false, 20.0)));
    }
}
