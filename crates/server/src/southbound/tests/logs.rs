//! What terminals tell of their attempts: kept once, found, and forgotten.

use super::*;
use crate::ledger::Logs;
use crate::store::bench::on_both;
use crate::store::{Found, LogQuery, Sight};
use protocols::native::{AttemptLog, LogLine};
use types::{AttemptId, Outcome};

const SIGHT: Sight = Sight { window: 3, most: 2 };

fn log(attempt: AttemptId, texts: &[&str]) -> AttemptLog {
    let line =
        |text: &&str| LogLine { at: None, phase: "downloading".into(), text: (*text).into() };
    AttemptLog { attempt, lines: texts.iter().map(line).collect() }
}

impl Bench {
    async fn keep(&self, device: &str, log: AttemptLog, at: Timestamp) {
        let terminal = self.server.roster.device(&name(device)).unwrap();
        self.server.keep_log(&terminal, log, at).await.unwrap();
    }

    /// The terminal reports that `attempt` ended so.
    async fn ended(&self, device: &str, attempt: AttemptId, outcome: Outcome) -> Vec<AttemptId> {
        let terminal = self.server.roster.device(&name(device)).unwrap();
        let report = Report {
            attempt,
            source: name("native"),
            outcome,
            detail: Text::default(),
            version: Some(name("2")),
            spent: Spent::default(),
            failed_boots: 0,
        };
        let reports = [report];
        self.server.file(&terminal, &reports, NOW).await.unwrap();
        self.server.wanted_logs(&reports)
    }

    async fn look(&self, asked: &LogQuery) -> Found {
        self.server.store.begin().await.unwrap().find_logs(asked, SIGHT).await.unwrap()
    }

    /// The first lines of all logs that are found, newest first.
    async fn found(&self, asked: &LogQuery) -> Vec<String> {
        let (mut asked, mut all) = (asked.clone(), Vec::new());
        loop {
            let found = self.look(&asked).await;
            all.extend(found.logs.iter().map(|log| log.lines[0].text.to_string()));
            asked.after = found.next;
            if asked.after.is_none() {
                return all;
            }
        }
    }
}

fn attempt(number: u8) -> AttemptId {
    AttemptId([number; 16])
}

#[tokio::test]
async fn a_log_is_kept_once_and_beside_its_report_only() {
    on_both(async |place| {
        let bench = Bench::on(place).await;
        bench.publish("2").await;
        bench.start("spring", everyone()).await;
        let answer = bench.beat("d0", "1", None, NOW).await.unwrap().unwrap();
        let own = answer.offer.as_ref().unwrap().attempt;
        let any = LogQuery::default();
        bench.keep("d0", log(own, &["before its report"]), NOW).await;
        assert!(bench.found(&any).await.is_empty());
        assert_eq!(bench.ended("d0", own, Outcome::StorageFull).await, [own]);
        bench.keep("d0", log(own, &["first"]), NOW).await;
        bench.keep("d0", log(own, &["again"]), later(1)).await;
        bench.keep("d1", log(own, &["of another terminal"]), NOW).await;
        bench.keep("d0", log(attempt(9), &["invented"]), NOW).await;
        assert_eq!(bench.found(&any).await, ["first"]);
        let kept = bench.look(&any).await.logs.remove(0);
        assert_eq!((kept.rollout, kept.version), (Some(name("spring")), Some(name("2"))));
        assert_eq!((kept.outcome, kept.received), (Outcome::StorageFull.code(), NOW));
        if bench.server.store.is_shared() {
            assert_eq!(Bench::on(place).await.found(&any).await, ["first"], "another server");
        }
    })
    .await;
}

#[tokio::test]
async fn logs_are_found_by_what_they_say_and_are_about() {
    on_both(async |place| {
        let bench = Bench::on(place).await;
        bench.publish("2").await;
        let texts = ["NO SPACE left", "100% of größer", "a_b", "100 Prozent", "aXb"];
        for (number, text) in texts.iter().enumerate() {
            let (id, outcome) = (attempt(u8::try_from(number).unwrap()), Outcome::StorageFull);
            let outcome = if number == 2 { Outcome::Ok } else { outcome };
            let device = if number % 2 == 0 { "d0" } else { "d1" };
            bench.ended(device, id, outcome).await;
            let at = later(u32::try_from(number).unwrap());
            bench.keep(device, log(id, &[text, "end"]), at).await;
        }
        let any = LogQuery::default();
        let check = async |asked: LogQuery, expected: &[&str]| {
            assert_eq!(bench.found(&asked).await, expected, "{asked:?}");
        };
        let text = |text: &str| LogQuery { text: Some(text.into()), ..LogQuery::default() };
        check(any.clone(), &["aXb", "100 Prozent", "a_b", "100% of größer", "NO SPACE left"]).await;
        check(text("no space"), &["NO SPACE left"]).await;
        check(text("GRÖSSER"), &[]).await;
        check(text("GRÖßER"), &["100% of größer"]).await;
        check(text("100%"), &["100% of größer"]).await;
        check(text("A_B"), &["a_b"]).await;
        check(text("!"), &[]).await;
        check(text("b\nend"), &["aXb", "a_b"]).await;
        check(
            LogQuery { device: Some(name("d1")), ..any.clone() },
            &["100 Prozent", "100% of größer"],
        )
        .await;
        check(LogQuery { outcome: Some(0), ..any.clone() }, &["a_b"]).await;
        check(LogQuery { version: Some(name("3")), ..any.clone() }, &[]).await;
        check(LogQuery { rollout: Some(name("spring")), ..any.clone() }, &[]).await;
        check(LogQuery { attempt: Some(attempt(3)), ..any }, &["100 Prozent"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_terminal_cannot_fill_the_store_and_old_logs_go() {
    on_both(async |place| {
        let bench = Bench::on(place).await;
        bench.publish("2").await;
        for number in 0..20 {
            bench.ended("d0", attempt(number), Outcome::Ok).await;
            bench
                .keep("d0", log(attempt(number), &[&number.to_string()]), later(number.into()))
                .await;
        }
        let any = LogQuery::default();
        let found = bench.found(&any).await;
        assert_eq!((found.len(), found[0].as_str(), found[15].as_str()), (16, "19", "4"));
        let mut tx = bench.server.store.begin().await.unwrap();
        assert_eq!(tx.forget_logs(later(10), 4).await.unwrap(), 4, "not all at once");
        assert_eq!(tx.forget_logs(later(10), 4).await.unwrap(), 2);
        tx.commit().await.unwrap();
        drop(tx);
        assert_eq!(bench.found(&any).await.len(), 10);
    })
    .await;
}

#[tokio::test]
async fn an_operator_who_wants_no_logs_gets_none() {
    let mut bench = Bench::new().await;
    let any = LogQuery::default();
    bench.server.settings.logs = Logs::None;
    assert!(bench.ended("d0", attempt(1), Outcome::StorageFull).await.is_empty());
    bench.keep("d0", log(attempt(1), &["unasked"]), NOW).await;
    assert!(bench.found(&any).await.is_empty());
    bench.server.settings.logs = Logs::Failures;
    assert!(bench.ended("d0", attempt(2), Outcome::Ok).await.is_empty());
    bench.keep("d0", log(attempt(2), &["unasked"]), NOW).await;
    assert_eq!(bench.ended("d0", attempt(3), Outcome::BootFailed).await, [attempt(3)]);
    bench.keep("d0", log(attempt(3), &["asked"]), NOW).await;
    assert_eq!(bench.found(&any).await, ["asked"]);
}
