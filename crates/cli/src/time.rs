//! Points in time as people and programs read them.

const DAY: u64 = 86_400;

/// Returns nanoseconds since 1970 as RFC 3339 in UTC, such as `2026-11-22T10:00:00.000000000Z`.
pub(crate) fn rfc3339(nanoseconds: u128) -> String {
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(u64::MAX);
    let (year, month, day) = civil(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    let fraction = nanoseconds % 1_000_000_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

/// Returns how long ago something was, roughly.
pub(crate) fn ago(then: u128, now: u128) -> String {
    let seconds = now.saturating_sub(then) / 1_000_000_000;
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

/// Returns the present, in nanoseconds since 1970.
pub(crate) fn now() -> u128 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos())
}

/// Returns the year, month and day of a number of days since 1970, in the Gregorian calendar: years begin in March, so that
/// the leap day is the last, and 400 of them have 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        let day = |seconds: u128| rfc3339(seconds * 1_000_000_000)[..19].to_owned();
        assert_eq!(day(0), "1970-01-01T00:00:00");
        assert_eq!(day(951_782_399), "2000-02-28T23:59:59");
        assert_eq!(day(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(day(1_795_305_600), "2026-11-22T00:00:00");
    }

    #[test]
    fn the_past_is_rough() {
        let ago = |seconds: u128| super::ago(0, seconds * 1_000_000_000);
        assert_eq!([ago(1), ago(59), ago(61), ago(7200), ago(90_000)].join(", "), {
            "1 second ago, 59 seconds ago, 1 minute ago, 2 hours ago, 1 day ago"
        });
    }
}
