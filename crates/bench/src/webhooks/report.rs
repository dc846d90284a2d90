//! Tables and verdicts of `bench webhooks`, and the same as JSON.

use serde_json::{Value, json};

use super::cases::{AIM, BACKLOG_BAR, Case, Kind};
use super::database::Engine;
use super::spec::{Delivered, Filled, Wrongs};
use crate::report::{Bound, Verdict, median};

/// What one round of a case brought.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) server: Delivered,
    /// The floor at full speed; the server without a backlog where there is one; nothing when paced.
    pub(super) beside: Option<Delivered>,
}

/// All rounds of one case.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) case: &'static Case,
    pub(super) rounds: Vec<Round>,
    /// How the backlog was filled.
    pub(super) filled: Option<Filled>,
}

/// Places in [`Delivered::cpu_seconds`]: of a server's run, and of the floor's.
const SERVER: usize = 0;
const RECEIVER: usize = 1;
const DATABASE: usize = 2;

impl Delivered {
    pub(super) fn rate(&self) -> f64 {
        self.deliveries as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    fn accepted(&self) -> f64 {
        self.events as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Processor time of one process, microseconds per delivery.
    pub(super) fn cost(&self, process: usize) -> f64 {
        self.cpu_seconds.get(process).map_or(0.0, |spent| spent * 1e6 / self.deliveries.max(1) as f64)
    }
}

impl Measured {
    fn mid(&self, figure: impl Fn(&Delivered) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| figure(&round.server)).collect()).unwrap_or_default()
    }

    fn beside(&self) -> impl Iterator<Item = (&Delivered, &Delivered)> {
        self.rounds.iter().filter_map(|round| Some((&round.server, round.beside.as_ref()?)))
    }

    /// Median over the rounds of the server's figure divided by that of what it is compared with.
    fn ratio(&self, figure: impl Fn(&Delivered) -> f64) -> Option<f64> {
        median(self.beside().map(|(server, other)| figure(server) / figure(other)).collect())
    }

    /// The wrongs of all rounds. With a backlog these have the same receivers, and the last round tells all.
    fn wrongs(&self) -> Wrongs {
        let first = if self.case.kind == Kind::Backlog { self.rounds.len().saturating_sub(1) } else { 0 };
        let runs = self.rounds[first..].iter().flat_map(|round| [Some(&round.server), round.beside.as_ref()]);
        runs.flatten().fold(Wrongs::default(), |sum, run| Wrongs {
            lost: sum.lost + run.wrongs.lost,
            doubled: sum.doubled + run.wrongs.doubled,
            strayed: sum.strayed + run.wrongs.strayed,
        })
    }

    /// Everything, for people.
    pub(super) fn table(&self) -> String {
        let mut lines =
            vec![format!("\n{}: {} (median of {} rounds)", self.case.name, self.case.about(), self.rounds.len())];
        match self.case.kind {
            Kind::Full => lines.extend(self.beside_the_floor()),
            Kind::Paced => lines.extend(self.delays()),
            Kind::Backlog => lines.extend(self.beside_a_backlog()),
        }
        let Wrongs { lost, doubled, strayed } = self.wrongs();
        lines.push(format!("  lost/doubled/strayed: {lost}/{doubled}/{strayed}"));
        lines.join("\n")
    }

    fn beside_the_floor(&self) -> Vec<String> {
        let floor = |figure: &dyn Fn(&Delivered) -> f64| {
            median(self.beside().map(|(_, floor)| figure(floor)).collect()).unwrap_or_default()
        };
        let row = |name: &str, rate: f64, accepted: &str, costs: [f64; 3]| {
            let [sender, database, receiver] = costs;
            format!("  {name:10} {rate:12.0} {accepted:>11} {sender:22.1} {database:11.1} {receiver:11.1}")
        };
        let accepted = format!("{:.0}", self.mid(Delivered::accepted));
        let costs = [SERVER, DATABASE, RECEIVER].map(|process| self.mid(|run| run.cost(process)));
        let floors = [SERVER, DATABASE, RECEIVER].map(|process| floor(&|run| run.cost(process)));
        let mut lines = vec![
            "             deliveries/s  accepted/s  CPU µs per delivery: it    database    receiver".to_owned(),
            row("hookswitch", self.mid(Delivered::rate), &accepted, costs),
            row("floor", floor(&Delivered::rate), "-", floors),
        ];
        let (rate, cost) = (self.ratio(Delivered::rate), self.ratio(|run| run.cost(SERVER)));
        lines.extend(rate.zip(cost).map(|(rate, cost)| format!("  hookswitch / floor: rate {rate:.3}, CPU {cost:.2}")));
        if self.case.engine == Engine::Sqlite {
            let share = self.mid(Delivered::rate) / AIM;
            lines.push(format!("  {share:.2} times the aim of {AIM:.0} deliveries/s"));
        }
        lines
    }

    fn delays(&self) -> Vec<String> {
        let row = |name: &str, p50: f64, p99: f64| format!("  {name:20} {p50:9.2} {p99:9.2}");
        let [server, database] = [SERVER, DATABASE].map(|process| self.mid(|run| run.cost(process)));
        vec![
            "                          p50 ms    p99 ms".to_owned(),
            row("sending to answer", self.mid(|run| run.answer.p50_ms), self.mid(|run| run.answer.p99_ms)),
            row("sending to arrival", self.mid(|run| run.delay.p50_ms), self.mid(|run| run.delay.p99_ms)),
            format!("  CPU µs per event and delivery: server {server:.0}, database {database:.0}"),
        ]
    }

    fn beside_a_backlog(&self) -> Vec<String> {
        let without = median(self.beside().map(|(_, without)| without.rate()).collect()).unwrap_or_default();
        let (with, ratio) = (self.mid(Delivered::rate), self.ratio(Delivered::rate).unwrap_or_default());
        let filled = self.filled.as_ref().map(|filled| {
            let events = filled.events.max(1) as f64;
            let cost = |process: usize| filled.cpu_seconds.get(process).map_or(0.0, |seconds| seconds * 1e6 / events);
            format!(
                "  filled with {} in {:.0} s: {:.0} accepted/s, CPU µs per accepted event {:.1}, database {:.1}",
                filled.events,
                filled.seconds,
                events / filled.seconds.max(f64::MIN_POSITIVE),
                cost(SERVER),
                cost(DATABASE)
            )
        });
        let cost = self.ratio(|run| run.cost(SERVER)).unwrap_or_default();
        let rates = format!(
            "  deliveries/s to the others: {without:.0} without, {with:.0} with; ratio {ratio:.3}, of the CPU {cost:.2}"
        );
        filled.into_iter().chain([rates]).collect()
    }

    fn json(&self) -> Value {
        let rounds: Vec<Value> =
            self.rounds.iter().map(|round| json!({"server": round.server, "beside": round.beside})).collect();
        json!({
            "case": self.case.name, "about": self.case.about(), "rate_ratio": self.ratio(Delivered::rate),
            "cpu_ratio": self.ratio(|run| run.cost(SERVER)), "filled": self.filled, "rounds": rounds,
        })
    }
}

/// What an accepted event costs and what a delivery does, told apart by the cases with 1 and with 10 webhooks per event.
pub(super) fn split(measured: &[Measured], engine: Engine) -> Option<String> {
    let mut of = measured.iter().filter(|one| one.case.kind == Kind::Full && one.case.engine == engine);
    let (few, many) = (of.next()?, of.next()?);
    let per_event = |one: &Measured| {
        let webhooks = f64::from(one.case.shape.per_topic);
        (webhooks, one.mid(|run| run.cost(SERVER)) * webhooks)
    };
    let ((w1, c1), (w2, c2)) = (per_event(few), per_event(many));
    let delivery = (c2 - c1) / (w2 - w1);
    let event = c1 - delivery * w1;
    let names = [few.case.name, many.case.name].join(" and ");
    Some(format!("\n{names}: CPU µs of the server {event:.1} per accepted event and {delivery:.1} per delivery"))
}

/// Nothing may be lost, and a backlog of one must not slow the others down.
pub(super) fn verdicts(measured: &[Measured]) -> Vec<Verdict> {
    let wrongs = measured.iter().map(|one| {
        Verdict::none_of(format!("{}: deliveries lost, doubled or strayed", one.case.name), one.wrongs().sum())
    });
    let backlogs = measured.iter().filter(|one| one.case.kind == Kind::Backlog).filter_map(|one| {
        let about = format!("{}: rate beside a backlog, times that without", one.case.name);
        Some(Verdict { about, measured: one.ratio(Delivered::rate)?, bound: Bound::AtLeast(BACKLOG_BAR) })
    });
    wrongs.chain(backlogs).collect()
}

/// Everything, for programs.
pub(super) fn to_json(measured: &[Measured]) -> Value {
    let bars: Vec<Value> = verdicts(measured).iter().map(Verdict::json).collect();
    json!({"cases": measured.iter().map(Measured::json).collect::<Vec<_>>(), "bars": bars})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::cases::CASES;

    fn run(deliveries: u64, cpu: f64, lost: u64) -> Delivered {
        let wrongs = Wrongs { lost, ..Wrongs::default() };
        let events = deliveries;
        Delivered { events, deliveries, seconds: 1.0, cpu_seconds: vec![cpu, 0.5], wrongs, ..Delivered::default() }
    }

    fn measured(name: &str, rounds: &[(Delivered, Delivered)]) -> Measured {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let round =
            |(server, beside): &(Delivered, Delivered)| Round { server: server.clone(), beside: Some(beside.clone()) };
        Measured { case, rounds: rounds.iter().map(round).collect(), filled: None }
    }

    #[test]
    fn the_server_stands_beside_the_floor_and_the_aim() {
        let text = measured("sqlite-1", &[(run(5_000, 0.5, 0), run(50_000, 1.0, 0))]).table();
        assert!(text.contains("\n  hookswitch / floor: rate 0.100, CPU 5.00\n  0.50 times the aim of 10000"), "{text}");
    }

    #[test]
    fn one_lost_delivery_fails_and_so_does_a_slow_neighbour() {
        let holds = |with: u64, lost: u64| {
            let one = measured("sqlite-backlog", &[(run(with, 1.0, lost), run(1_000, 1.0, 0))]);
            verdicts(&[one]).iter().map(Verdict::holds).collect::<Vec<_>>()
        };
        assert_eq!([holds(900, 0), holds(899, 0), holds(950, 1)], [[true, true], [true, false], [false, true]]);
    }

    #[test]
    fn events_and_deliveries_are_told_apart() {
        // 30 µs per event and 20 per delivery.
        let few = measured("sqlite-1", &[(run(1_000_000, 50.0, 0), run(1, 1.0, 0))]);
        let many = measured("sqlite-10", &[(run(1_000_000, 23.0, 0), run(1, 1.0, 0))]);
        let text = split(&[few, many], Engine::Sqlite).unwrap();
        assert!(text.ends_with("CPU µs of the server 30.0 per accepted event and 20.0 per delivery"), "{text}");
    }
}
