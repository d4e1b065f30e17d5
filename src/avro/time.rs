//! Avro's dates, times and timestamps, which are numbers, as the text that Flink's SQL shows: `2026-01-31`, `10:00:00.5`,
//! `2026-01-31 10:00:00`. A number is taken as it is.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use super::Unfit;
use super::encode::expected;
use crate::config::Json;

/// Nanoseconds of a unit.
type Nanos = i128;
pub(super) const MILLIS: Nanos = 1_000_000;
pub(super) const MICROS: Nanos = 1_000;
pub(super) const NANOS: Nanos = 1;

const DAY: Nanos = 86_400_000_000_000;

/// Days since 1970-01-01.
pub(super) fn date(json: &Json) -> Result<i32, Unfit> {
    let days = match json {
        Json::Text(text) => text.parse::<Date>().ok().and_then(days_of),
        other => other.as_i64().and_then(|days| i32::try_from(days).ok()),
    };
    days.map_or_else(|| expected("a date as `2026-01-31`", json), Ok)
}

fn days_of(date: Date) -> Option<i32> {
    let days = date.since((Unit::Day, Date::constant(1970, 1, 1))).ok()?;
    Some(days.get_days())
}

/// The units since midnight.
pub(super) fn of_day(json: &Json, unit: Nanos) -> Result<i64, Unfit> {
    let Json::Text(text) = json else {
        let units = json.as_i64().filter(|n| (0..DAY / unit).contains(&Nanos::from(*n)));
        return units.map_or_else(|| expected("a time as `10:00:00`", json), Ok);
    };
    let Ok(time) = text.parse::<Time>() else {
        return expected("a time as `10:00:00`", json);
    };
    let since = time.since((Unit::Nanosecond, Time::midnight()));
    units(since.map_or(0, |span| span.get_nanoseconds().into()), unit, json)
}

/// The units since 1970-01-01 00:00:00, in UTC where the text names no other zone.
pub(super) fn instant(json: &Json, unit: Nanos) -> Result<i64, Unfit> {
    let Json::Text(text) = json else {
        return json.as_i64().map_or_else(|| expected(INSTANT, json), Ok);
    };
    let in_utc = || {
        text.parse::<DateTime>()
            .ok()?
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|z| z.timestamp())
    };
    match text.parse::<Timestamp>().ok().or_else(in_utc) {
        Some(instant) => units(instant.as_nanosecond(), unit, json),
        None => expected(INSTANT, json),
    }
}

const INSTANT: &str = "a time as `2026-01-31 10:00:00`";

fn units(nanos: Nanos, unit: Nanos, json: &Json) -> Result<i64, Unfit> {
    match i64::try_from(nanos / unit) {
        Ok(units) if nanos % unit == 0 => Ok(units),
        Ok(_) => Err(Unfit::new(format!(
            "{json} has more digits than the schema's type holds"
        ))),
        Err(_) => expected(INSTANT, json),
    }
}

/// The date so many days after 1970-01-01.
pub(super) fn date_text(days: i32) -> Result<Json, String> {
    let instant = Timestamp::from_second(i64::from(days) * 86_400).map_err(|error| error.to_string())?;
    Ok(Json::Text(instant.to_zoned(TimeZone::UTC).date().to_string()))
}

/// The time of day so many units after midnight.
pub(super) fn of_day_text(n: i64, unit: Nanos) -> Result<Json, String> {
    let instant = Timestamp::from_nanosecond(Nanos::from(n) * unit).map_err(|error| error.to_string())?;
    Ok(Json::Text(instant.to_zoned(TimeZone::UTC).time().to_string()))
}

/// The instant so many units after 1970-01-01 00:00:00, in UTC.
pub(super) fn instant_text(n: i64, unit: Nanos) -> Result<Json, String> {
    let instant = Timestamp::from_nanosecond(Nanos::from(n) * unit).map_err(|error| error.to_string())?;
    let at = instant.to_zoned(TimeZone::UTC).datetime();
    Ok(Json::Text(format!("{} {}", at.date(), at.time())))
}
