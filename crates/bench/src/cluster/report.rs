//! Tables and verdicts of `bench cluster`, and the same as JSON.

use serde::Serialize;
use serde_json::{Value, json};

use super::loads::Load;
use crate::report::{Verdict, median};
use crate::spec::{Cluster, Fanout};

/// Messages per second of redis-benchmark's PUBLISH.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RedisAlone {
    /// 16 requests on the way per connection, nobody listens.
    pub(crate) pipelined: f64,
    /// The same with one subscriber: as they come to it.
    pub(crate) heard: f64,
    /// 1 request on the way per connection, nobody listens.
    pub(crate) one_by_one: f64,
}

type Metric = fn(&RedisAlone) -> f64;

/// Each of them with its name.
const RATES: [(&str, Metric); 3] =
    [("-P 16", |alone| alone.pipelined), ("-P 16, as heard", |alone| alone.heard), ("-P 1", |alone| alone.one_by_one)];

/// The same Redis process, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) alone: RedisAlone,
    pub(crate) loads: Vec<(&'static Load, Cluster)>,
}

/// All rounds of one load, each with what Redis did alone in its round.
struct Runs<'a> {
    load: &'static Load,
    runs: Vec<(RedisAlone, &'a Cluster)>,
}

/// Everything, for people.
pub(crate) fn tables(rounds: &[Round]) -> String {
    let mut lines = vec![
        format!("\nredis-benchmark -c 50 PUBLISH, 256 bytes (median of {} rounds)", rounds.len()),
        "                         messages/s".to_owned(),
    ];
    for (name, figure) in RATES {
        let rate = median(rounds.iter().map(|round| figure(&round.alone)).collect()).unwrap_or_default();
        lines.push(format!("  {name:20} {rate:12.0}"));
    }
    let runs = by_load(rounds);
    lines.extend(full_speed(&runs));
    lines.extend(runs.iter().filter(|runs| !runs.load.is_full_speed()).map(Runs::latency));
    lines.join("\n")
}

/// Nothing may be lost on the way.
pub(crate) fn verdicts(rounds: &[Round]) -> Vec<Verdict> {
    let verdict = |runs: &Runs<'_>| {
        let wrongs: u64 = runs.runs.iter().map(|(_, run)| run.fanout.wrongs() + run.fanout.unexpected).sum();
        let about = format!("{}: events lost, doubled or out of order, and notices of drops", runs.load.name);
        Verdict::none_of(about, wrongs)
    };
    by_load(rounds).iter().map(verdict).collect()
}

/// Everything, for programs.
pub(crate) fn to_json(rounds: &[Round]) -> Value {
    let round = |round: &Round| {
        let loads: serde_json::Map<_, _> =
            round.loads.iter().map(|(load, run)| (load.name.to_owned(), json!(run))).collect();
        json!({"redis_benchmark": round.alone, "loads": loads})
    };
    json!({"rounds": rounds.iter().map(round).collect::<Vec<_>>()})
}

fn by_load(rounds: &[Round]) -> Vec<Runs<'_>> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let runs = |load: &'static Load| {
        let of_round = |round: &'_ Round| round.loads.iter().position(|(one, _)| one.name == load.name);
        let runs = rounds.iter().filter_map(|round| Some((round.alone, &round.loads[of_round(round)?].1)));
        Runs { load, runs: runs.collect() }
    };
    first.loads.iter().map(|(load, _)| runs(load)).collect()
}

fn full_speed(runs: &[Runs<'_>]) -> Vec<String> {
    let rows: Vec<String> = runs.iter().filter(|runs| runs.load.is_full_speed()).flat_map(Runs::rate).collect();
    if rows.is_empty() {
        return rows;
    }
    let head = "            events/s  CPU s per million: node A    node B     Redis  lost/doubled/out of order";
    let title = "\nnode A to each of 5 connections at node B, and 1 at A, payloads of 256 bytes; an event counts once all have it,\n\
         and is compared with a bare PUBLISH to the same Redis in the same round, all on the same processors"
        .to_owned();
    [vec![title, head.to_owned()], rows].concat()
}

impl Runs<'_> {
    fn mid(&self, figure: impl Fn(&Cluster) -> f64) -> f64 {
        median(self.runs.iter().map(|(_, run)| figure(run)).collect()).unwrap_or_default()
    }

    fn sum(&self, figure: fn(&Fanout) -> u64) -> u64 {
        self.runs.iter().map(|(_, run)| figure(&run.fanout)).sum()
    }

    /// A row of medians and what it is beside Redis alone.
    fn rate(&self) -> Vec<String> {
        let rate = self.mid(|run| run.fanout.events_per_second());
        let cost = |process: usize| {
            self.mid(|run| {
                run.cpu_seconds.get(process).map_or(0.0, |spent| spent * 1e6 / run.fanout.events.max(1) as f64)
            })
        };
        let [a, b, redis] = [0, 1, 2].map(cost);
        let (name, wrongs) = (self.load.name, self.wrongs());
        let mut rows =
            vec![format!("  {name:8} {rate:9.0} {a:26.2} {b:9.2} {redis:9.2}  {wrongs}  ({})", self.load.about)];
        for (name, figure) in RATES {
            let ratios = self.runs.iter().map(|(redis, run)| run.fanout.events_per_second() / figure(redis));
            let ratio = median(ratios.collect()).unwrap_or_default();
            rows.push(format!("    events/s / PUBLISH {name}: {ratio:.3}"));
        }
        rows
    }

    fn latency(&self) -> String {
        let row = |name: &str, p50: f64, p99: f64| format!("  {name:14} {p50:9.2} {p99:9.2}");
        [
            format!("\n{}: {}, 1 connection at each node", self.load.name, self.load.about),
            "                    p50 ms    p99 ms  from sending to seeing".to_owned(),
            row("at node A", self.mid(|run| run.fanout.latency.p50_ms), self.mid(|run| run.fanout.latency.p99_ms)),
            row("at node B", self.mid(|run| run.there.p50_ms), self.mid(|run| run.there.p99_ms)),
            row("added, by event", self.mid(|run| run.added.p50_ms), self.mid(|run| run.added.p99_ms)),
            format!("  lost/doubled/out of order: {}", self.wrongs()),
        ]
        .join("\n")
    }

    fn wrongs(&self) -> String {
        let figures: [fn(&Fanout) -> u64; 3] = [|run| run.lost, |run| run.doubled, |run| run.out_of_order];
        let text = figures.map(|figure| self.sum(figure).to_string()).join("/");
        match self.sum(|run| run.unexpected) {
            0 => text,
            unexpected => format!("{text}; {unexpected} neither event nor pong"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::loads::LOADS;

    fn round(events: u64, lost: u64) -> Round {
        let fanout = Fanout { events, seconds: 1.0, lost, ..Fanout::default() };
        let run = Cluster { fanout, cpu_seconds: vec![0.5, 0.25, 0.1], ..Cluster::default() };
        let alone = RedisAlone { pipelined: 400_000.0, heard: 200_000.0, one_by_one: 80_000.0 };
        Round { alone, loads: LOADS.iter().map(|load| (load, run.clone())).collect() }
    }

    #[test]
    fn rates_stand_beside_those_of_redis_alone() {
        let text = tables(&[round(10_000, 0), round(40_000, 0), round(20_000, 0)]);
        assert!(
            text.contains("\n  single       20000                      25.00     12.50      5.00  0/0/0"),
            "{text}"
        );
        assert!(text.contains("\n    events/s / PUBLISH -P 16: 0.050\n"), "{text}");
        assert!(text.contains("\n    events/s / PUBLISH -P 1: 0.250\n"), "{text}");
    }

    #[test]
    fn one_lost_event_fails() {
        let holds = |rounds: &[Round]| verdicts(rounds).iter().map(Verdict::holds).collect::<Vec<_>>();
        assert_eq!(holds(&[round(1, 0), round(1, 0)]), [true, true, true]);
        assert_eq!(holds(&[round(1, 0), round(1, 1)]), [false, false, false]);
        assert!(holds(&[]).is_empty());
    }
}
