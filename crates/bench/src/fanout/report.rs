//! Tables for people, verdicts, and the same as JSON.

use serde_json::{Value, json};

use super::loads::{BARS, Bar, IDLE, Load, Metric};
use crate::report::{Bound, Verdict, median};
use crate::spec::{Fanout, Idle};
use crate::subject::Kind;

/// Who stands beside the server, in the order of the tables.
const BESIDE: [Kind; 4] = [Kind::ServerStreams, Kind::Baseline, Kind::FloorSingle, Kind::FloorPacked];

/// All rounds of one load: for each round, the figures of each subject.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) load: &'static Load,
    pub(crate) rounds: Vec<Vec<(Kind, Fanout)>>,
}

impl Measured {
    fn of(&self, kind: Kind) -> Vec<&Fanout> {
        self.rounds.iter().flatten().filter(|(who, _)| *who == kind).map(|(_, figures)| figures).collect()
    }

    /// Median over the rounds of the server's cost divided by another's of the same round.
    fn ratio(&self, other: Kind) -> Option<f64> {
        median_ratio(&self.rounds, other, Fanout::cpu_per_million)
    }

    /// A table of medians.
    pub(crate) fn table(&self) -> String {
        let mut lines = vec![
            format!("\n{}: {} (median of {} rounds)", self.load.name, self.load.about, self.rounds.len()),
            "                deliveries/s  CPU s per million    p50 ms    p99 ms  lost/doubled/out of order".to_owned(),
        ];
        lines.extend([Kind::Server].iter().chain(&BESIDE).filter_map(|kind| self.row(*kind)));
        for other in BESIDE {
            let digits = if other.is_server() { 3 } else { 2 };
            lines.extend(self.ratio(other).map(|ratio| format!("  server / {}: {ratio:.digits$}", other.name())));
        }
        lines.join("\n")
    }

    fn row(&self, kind: Kind) -> Option<String> {
        let runs = self.of(kind);
        let mid = |figure: fn(&Fanout) -> f64| median(runs.iter().map(|run| figure(run)).collect());
        let sum = |figure: fn(&Fanout) -> u64| runs.iter().map(|run| figure(run)).sum::<u64>();
        let (rate, cost) = (mid(Fanout::deliveries_per_second)?, mid(Fanout::cpu_per_million)?);
        let (p50, p99) = (mid(|run| run.latency.p50_ms)?, mid(|run| run.latency.p99_ms)?);
        let (lost, doubled, late) = (sum(|run| run.lost), sum(|run| run.doubled), sum(|run| run.out_of_order));
        let name = kind.name();
        let mut row = format!("  {name:14} {rate:11.0} {cost:18.3} {p50:9.2} {p99:9.2}  {lost}/{doubled}/{late}");
        let (strayed, unexpected) = (sum(|run| run.strayed), sum(|run| run.unexpected));
        if strayed + unexpected > 0 {
            row = format!("{row}; {strayed} at bystanders, {unexpected} neither event nor pong");
        }
        Some(row)
    }

    fn json(&self) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|round| round.iter().map(|(kind, figures)| (kind.name().to_owned(), json!(figures))).collect())
            .collect();
        json!({
            "load": self.load.name, "connections": self.load.connections, "bystanders": self.load.bystanders,
            "ratio_to_streams": self.ratio(Kind::ServerStreams), "ratio_to_baseline": self.ratio(Kind::Baseline), "ratio_to_single": self.ratio(Kind::FloorSingle), "ratio_to_packed": self.ratio(Kind::FloorPacked),
            "rounds": rounds,
        })
    }
}

/// All rounds of idle connections: for each round, the figures of each build of the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdleRounds(pub(crate) Vec<Vec<(Kind, Idle)>>);

/// A figure of idle connections.
type IdleFigure = fn(&Idle) -> f64;
const BYTES: IdleFigure = |idle| idle.bytes_per_connection;
const MICROS: IdleFigure = |idle| idle.cpu_us_per_connect;

impl IdleRounds {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Idle> {
        self.0.iter().flatten().filter(move |(who, _)| *who == kind).map(|(_, figures)| figures)
    }

    fn median(&self, kind: Kind, figure: IdleFigure) -> Option<f64> {
        median(self.of(kind).map(figure).collect())
    }

    /// Median over the rounds of the server's figure divided by the baseline's of the same round.
    fn ratio(&self, figure: IdleFigure) -> Option<f64> {
        median_ratio(&self.0, Kind::Baseline, figure)
    }

    /// A table of medians.
    pub(crate) fn table(&self) -> String {
        let row = |kind: Kind| {
            let (bytes, micros) = (self.median(kind, BYTES)?, self.median(kind, MICROS)?);
            let rate = self.median(kind, |idle| idle.connects_per_second)?;
            let name = if kind == Kind::Server { String::new() } else { format!("{}: ", kind.name()) };
            Some(format!(
                "  {name}{bytes:.0} bytes per idle connection, {micros:.1} µs CPU per connect, {rate:.0} connects/s\n"
            ))
        };
        let rows: String = [Kind::Server, Kind::Baseline].into_iter().filter_map(row).collect();
        format!("\n{IDLE}: (median of {} rounds)\n{rows}", self.0.len())
    }

    fn json(&self, kind: Kind) -> Value {
        json!(self.of(kind).collect::<Vec<_>>())
    }
}

/// The server beside the baseline: medians over the rounds of the ratio within each round.
pub(crate) fn comparison(loads: &[Measured], idle: &IdleRounds) -> String {
    let fanout = loads.iter().map(|measured| (measured.load.name, "CPU per delivery", measured.ratio(Kind::Baseline)));
    let idle = [("bytes per idle connection", BYTES), ("CPU per connect", MICROS)]
        .map(|(what, figure)| (IDLE, what, idle.ratio(figure)));
    let rows =
        fanout.chain(idle).filter_map(|(name, what, ratio)| Some(format!("\n  {name:12} {:.3}  {what}", ratio?)));
    rows.fold("\nserver / baseline".to_owned(), |text, row| text + &row)
}

/// Judges whatever was measured; a bar whose load was left out is not judged.
pub(crate) fn verdicts(loads: &[Measured], idle: &IdleRounds) -> Vec<Verdict> {
    let wrongs = loads.iter().filter(|measured| !measured.of(Kind::Server).is_empty()).map(|measured| {
        let wrongs: u64 = measured.of(Kind::Server).iter().map(|run| run.wrongs()).sum();
        let about = format!("{}: events lost, doubled, out of order or at the wrong connection", measured.load.name);
        Verdict::none_of(about, wrongs)
    });
    let bars = BARS.iter().filter_map(|bar| {
        let measured = measure(bar, loads, idle)?;
        Some(Verdict { about: bar.about.to_owned(), measured, bound: Bound::AtMost(bar.at_most) })
    });
    wrongs.chain(bars).collect()
}

/// Everything, for programs.
pub(crate) fn to_json(loads: &[Measured], idle: &IdleRounds) -> Value {
    let bars: Vec<Value> = verdicts(loads, idle).iter().map(Verdict::json).collect();
    json!({
        "loads": loads.iter().map(Measured::json).collect::<Vec<_>>(),
        "idle": idle.json(Kind::Server), "idle_baseline": idle.json(Kind::Baseline),
        "idle_ratios_to_baseline": {"bytes_per_connection": idle.ratio(BYTES), "cpu_us_per_connect": idle.ratio(MICROS)},
        "bars": bars,
    })
}

fn measure(bar: &Bar, loads: &[Measured], idle: &IdleRounds) -> Option<f64> {
    let load = || loads.iter().find(|measured| measured.load.name == bar.load);
    match bar.figure {
        Metric::RatioToSingle => load()?.ratio(Kind::FloorSingle),
        Metric::RatioToPacked => load()?.ratio(Kind::FloorPacked),
        Metric::BytesPerConnection => idle.median(Kind::Server, BYTES),
        Metric::MicrosPerConnect => idle.median(Kind::Server, MICROS),
    }
}

/// Median over the rounds of the server's figure divided by another's of the same round.
fn median_ratio<T>(rounds: &[Vec<(Kind, T)>], other: Kind, figure: impl Fn(&T) -> f64) -> Option<f64> {
    let of = |round: &[(Kind, T)], kind| round.iter().find(|(who, _)| *who == kind).map(|(_, one)| figure(one));
    median(rounds.iter().filter_map(|round| Some(of(round, Kind::Server)? / of(round, other)?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::loads::LOADS;

    fn run(cpu_seconds: f64, lost: u64) -> Fanout {
        Fanout { deliveries: 1_000_000, seconds: 1.0, cpu_seconds, lost, ..Fanout::default() }
    }

    fn paced(servers: [f64; 3], lost: u64) -> Measured {
        let load = LOADS.iter().find(|load| load.name == "paced").unwrap();
        let rounds = servers.map(|cost| vec![(Kind::Server, run(cost, lost)), (Kind::FloorSingle, run(5.0, 0))]);
        Measured { load, rounds: rounds.into() }
    }

    #[test]
    fn the_median_ratio_decides() {
        let good = verdicts(&[paced([6.0, 50.0, 5.0], 0)], &IdleRounds::default());
        assert_eq!(good.iter().map(Verdict::holds).collect::<Vec<_>>(), [true, true]);
        let slow = verdicts(&[paced([6.0, 6.6, 7.0], 0)], &IdleRounds::default());
        assert_eq!(slow.iter().map(Verdict::holds).collect::<Vec<_>>(), [true, false]);
        assert!(slow[1].line().starts_with("FAIL        1.32  at most     1.30"), "{}", slow[1].line());
    }

    #[test]
    fn one_lost_event_fails() {
        assert!(!verdicts(&[paced([5.0, 5.0, 5.0], 1)], &IdleRounds::default())[0].holds());
    }

    fn idle(bytes_per_connection: f64) -> Idle {
        Idle { bytes_per_connection, cpu_us_per_connect: 100.0, connects_per_second: 1.0 }
    }

    #[test]
    fn idle_connections_are_judged_when_measured() {
        let measured = IdleRounds(vec![vec![(Kind::Server, idle(9_000.0))]]);
        assert_eq!(verdicts(&[], &measured).iter().map(Verdict::holds).collect::<Vec<_>>(), [false, true]);
        assert!(verdicts(&[], &IdleRounds::default()).is_empty());
    }

    #[test]
    fn another_build_is_compared_round_by_round() {
        let mut fanout = paced([6.0, 8.0, 10.0], 0);
        for (round, cost) in fanout.rounds.iter_mut().zip([6.0, 10.0, 20.0]) {
            round.insert(0, (Kind::Baseline, run(cost, 0)));
        }
        let rounds = [(900.0, 1_000.0), (1_000.0, 1_000.0)];
        let idle = rounds.map(|(server, other)| vec![(Kind::Baseline, idle(other)), (Kind::Server, idle(server))]);
        let idle = IdleRounds(idle.into());
        let text = comparison(&[fanout.clone()], &idle);
        let wanted = "\nserver / baseline\n  paced        0.800  CPU per delivery\n  \
                      idle         0.950  bytes per idle connection\n  idle         1.000  CPU per connect";
        assert_eq!(text, wanted);
        assert_eq!(to_json(&[fanout], &idle)["loads"][0]["ratio_to_baseline"], 0.8);
    }
}
