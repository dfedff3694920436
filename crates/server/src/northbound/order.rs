//! From an order as it is written to a rollout as it is decided about, and back.

use crate::problem::{Refusal, Reply};
use crate::server::Server;
use axum::http::StatusCode;
use fleet::filter::Filter;
use fleet::operator::{Allowance, Halt, Opens, Size, Wave, moment};
use fleet::{Audience, DownloadLimit, Schedule, SiteLimit, Terms};
use protocols::json::sentence;
use protocols::operator::{
    AudienceRule, DownloadRule, HaltRule, OpenRule, RolloutOrder, ScheduleRule, SiteRule, Tenths,
    TermsRule, WaveRule,
};
use std::fmt::Display;
use std::str::FromStr;
use types::{Name, Timestamp};

/// A text of an order that has a form of its own.
fn read<T: FromStr<Err: Display>>(text: &str) -> Reply<T> {
    text.parse().map_err(|error: T::Err| unreadable(error.to_string()))
}

fn unreadable(text: String) -> Refusal {
    let advice = "see docs/rollout-file.md for the forms of filters, windows and zones";
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, text, advice)
}

/// A filter, or where it is wrong.
pub(super) fn filter(text: &str) -> Reply<Filter> {
    text.parse::<Filter>().map_err(|error| unreadable(format!("{error}\n{}", error.pointer(text))))
}

/// A filter, with what the dynamic groups that it asks for mean now.
pub(super) async fn resolved(app: &Server, text: &str) -> Reply<Filter> {
    let own = filter(text)?;
    if !own.asks_groups() {
        return Ok(own);
    }
    let groups = app.store.begin().await?.groups().await?;
    own.with_groups(&groups).map_err(|error| unreadable(sentence(&error)))
}

pub(super) fn audience(rule: &AudienceRule, product: &Name) -> Reply<Audience> {
    Ok(Audience {
        product: product.clone(),
        hardware: rule.hardware.clone(),
        regions: rule.regions.clone(),
        variants: rule.variants.clone(),
        running: rule.running.clone(),
        filter: rule.filter.as_deref().map(filter).transpose()?,
        abroad: rule.abroad.unwrap_or_default(),
        outside: rule.outside.unwrap_or_default(),
    })
}

pub(super) fn audience_rule(audience: &Audience, terms: &Terms) -> AudienceRule {
    AudienceRule {
        product: Some(audience.product.clone()),
        hardware: audience.hardware.clone(),
        regions: audience.regions.clone(),
        variants: audience.variants.clone(),
        running: audience.running.clone(),
        filter: audience.filter.as_ref().map(ToString::to_string),
        group: None,
        abroad: Some(audience.abroad),
        outside: Some(audience.outside),
        latecomers: terms.latecomers,
    }
}

/// Everyone at once where no wave is named.
pub(super) fn waves(rules: &[WaveRule]) -> Reply<Vec<Wave>> {
    let everyone = Wave { size: Size::Percent(100), opens: Opens::ByHand, allows: None };
    if rules.is_empty() { Ok(vec![everyone]) } else { rules.iter().map(wave).collect() }
}

/// A moment, or what is wrong with it.
fn at(text: &str) -> Reply<Timestamp> {
    moment(text).map_err(|error| unreadable(sentence(&error)))
}

fn wave(rule: &WaveRule) -> Reply<Wave> {
    let size = match rule.count {
        Some(count) => Size::Count(count),
        None => Size::Percent(rule.percent.unwrap_or(100)),
    };
    let opens = match &rule.opens {
        OpenRule::WhenConfirmedPercent(percent) => Opens::Confirmed(*percent),
        OpenRule::AfterSeconds(seconds) => Opens::After(*seconds),
        OpenRule::At(text) => Opens::At(at(text)?),
        OpenRule::ByHand => Opens::ByHand,
    };
    let allows = allowance(rule.failures_percent, rule.failures_count, rule.back_percent);
    Ok(Wave { size, opens, allows: Some(allows).filter(|own| *own != Allowance::default()) })
}

fn allowance(percent: Option<u8>, count: Option<u32>, back: Option<Tenths>) -> Allowance {
    Allowance { percent, count, back: back.map(|Tenths(tenths)| tenths) }
}

pub(super) fn wave_rule(wave: &Wave) -> WaveRule {
    let (percent, count) = match wave.size {
        Size::Percent(percent) => (Some(percent), None),
        Size::Count(count) => (None, Some(count)),
    };
    let opens = match wave.opens {
        Opens::Confirmed(percent) => OpenRule::WhenConfirmedPercent(percent),
        Opens::After(seconds) => OpenRule::AfterSeconds(seconds),
        Opens::At(at) => OpenRule::At(at.to_string()),
        Opens::ByHand => OpenRule::ByHand,
    };
    let own = wave.allows.unwrap_or_default();
    WaveRule {
        percent,
        count,
        opens,
        failures_percent: own.percent,
        failures_count: own.count,
        back_percent: own.back.map(Tenths),
    }
}

pub(super) fn halt(rule: &HaltRule) -> Halt {
    let allows = allowance(rule.failures_percent, rule.failures_count, rule.back_percent);
    Halt { allows, not_back: rule.not_back_seconds }
}

pub(super) fn halt_rule(halt: &Halt) -> HaltRule {
    HaltRule {
        failures_percent: halt.allows.percent,
        failures_count: halt.allows.count,
        back_percent: halt.allows.back.map(Tenths),
        not_back_seconds: halt.not_back,
    }
}

pub(super) fn terms(order: &RolloutOrder) -> Reply<Terms> {
    let TermsRule { mode, schedule, site, wait_for_deltas, retries, downloads } = &order.terms;
    let windows = |texts: &[String]| texts.iter().map(|text| read(text)).collect::<Reply<_>>();
    let site = site.as_ref();
    Ok(Terms {
        mode: *mode,
        schedule: Schedule {
            starts: schedule.starts.as_deref().map(at).transpose()?,
            windows: windows(&schedule.windows)?,
            quiet: windows(&schedule.quiet)?,
            zone: schedule.zone.as_deref().map(read).transpose()?,
        },
        site: site.map(|site| SiteLimit {
            by: site.by.clone(),
            in_flight: site.in_flight,
            downloads: downloaded(&site.downloads),
        }),
        downloads: downloaded(downloads),
        retries: *retries,
        wait_for_deltas: *wait_for_deltas,
        latecomers: order.audience.latecomers,
    })
}

fn downloaded(rule: &DownloadRule) -> DownloadLimit {
    DownloadLimit { at_once: rule.at_once, megabits: rule.megabits }
}

fn download_rule(limit: &DownloadLimit) -> DownloadRule {
    DownloadRule { at_once: limit.at_once, megabits: limit.megabits }
}

pub(super) fn terms_rule(terms: &Terms) -> TermsRule {
    let schedule = &terms.schedule;
    let site = terms.site.as_ref();
    TermsRule {
        mode: terms.mode,
        schedule: ScheduleRule {
            starts: schedule.starts.map(|at| at.to_string()),
            windows: schedule.windows.iter().map(ToString::to_string).collect(),
            quiet: schedule.quiet.iter().map(ToString::to_string).collect(),
            zone: schedule.zone.as_ref().map(ToString::to_string),
        },
        site: site.map(|site| SiteRule {
            by: site.by.clone(),
            in_flight: site.in_flight,
            downloads: download_rule(&site.downloads),
        }),
        downloads: download_rule(&terms.downloads),
        wait_for_deltas: terms.wait_for_deltas,
        retries: terms.retries,
    }
}
