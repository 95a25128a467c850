//! The lines of a timeperiod, as far as their shape goes: which days, then which hours. What they mean is not known here.

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const EXPECTED: &str =
    "expected a weekday, a month with a day, `day N`, `monday N [month]`, or YYYY-MM-DD, then HH:MM-HH:MM";

/// The part of a line that says which days: all before the hours, which hold the first colon.
pub(super) fn days_of(line: &str) -> &str {
    let until = line.find(':').unwrap_or(line.len());
    let head = line.get(..until).unwrap_or(line);
    head.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end()
}

/// Sunday is 0; unset for lines that do not name a plain weekday.
pub(super) fn weekday(line: &str) -> Option<usize> {
    let days = days_of(line);
    WEEKDAYS.iter().position(|weekday| *weekday == days)
}

/// Whether a line has one of the known shapes.
///
/// # Errors
/// What was expected.
pub(super) fn check(line: &str) -> Result<(), String> {
    let days = days_of(line);
    let hours = line.get(days.len()..).unwrap_or_default().trim();
    if !are_days(days) {
        let first = days.split([' ', '\t']).next().unwrap_or_default();
        let known = WEEKDAYS.iter().chain(&MONTHS).copied().chain(["day", "exclude", "alias", "timeperiod_name"]);
        return Err(match crate::nearest::nearest(first, known).filter(|near| *near != first) {
            Some(near) => format!("did you mean `{near}`?"),
            None => EXPECTED.to_owned(),
        });
    }
    if hours.is_empty() {
        return Err("no hours follow the days; expected HH:MM-HH:MM".to_owned());
    }
    match hours.split(',').find(|range| !is_range(range.trim())) {
        Some(range) => {
            let range = crate::nagios::finding::quoted(range.trim());
            Err(format!(
                "{range} is no range of hours; expected HH:MM-HH:MM, from 00:00 to 24:00, the end not before the start"
            ))
        }
        None => Ok(()),
    }
}

fn is_range(text: &str) -> bool {
    let Some((start, end)) = text.split_once('-') else { return false };
    matches!((minutes(start.trim()), minutes(end.trim())), (Some(start), Some(end)) if start <= end)
}

/// Minutes of the day; 24:00 is its end.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_short = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_short.then(|| text.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

fn are_days(days: &str) -> bool {
    let (days, step) = match days.split_once('/') {
        Some((days, step)) => (days.trim(), Some(step.trim())),
        None => (days, None),
    };
    if step.is_some_and(|step| !step.parse::<u32>().is_ok_and(|step| step > 0)) {
        return false;
    }
    if WEEKDAYS.contains(&days) {
        return step.is_none();
    }
    // A dash between ends has blanks around it, the one of a date or of a negative number has not. Nagios takes
    // `july 10-15` too.
    let words: Vec<&str> = days.split_ascii_whitespace().take(WORDS_MAX + 1).collect();
    match words.iter().position(|word| *word == "-") {
        Some(dash) => {
            let (from, to) = (&words[..dash], &words[dash + 1..]);
            let (Some(from), Some(to)) = (Form::of(from), Form::of(to)) else { return false };
            from.may_end_with(to)
        }
        None if Form::of(&words).is_some_and(|form| form != Form::Number) => true,
        None => tight_range(&words),
    }
}

/// `monday 1 january - monday 2 february`: no line has more words before its hours.
const WORDS_MAX: usize = 8;

/// `july 10-15`, `day 1-5`.
fn tight_range(words: &[&str]) -> bool {
    let [first @ .., last] = words else { return false };
    let Some((from, to)) = last.split_once('-').filter(|(from, _)| !from.is_empty()) else { return false };
    let with = |number| {
        let mut words = first.to_vec();
        words.push(number);
        Form::of(&words)
    };
    !first.is_empty() && with(from).is_some() && with(to).is_some()
}

/// One end of a range of days.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Date,
    Month,
    MonthDay,
    WeekdayOfMonth,
    Weekday,
    /// The second end may leave out what the first one said.
    Number,
}

impl Form {
    fn of(words: &[&str]) -> Option<Form> {
        let is_number = |text: &str| text.parse::<i32>().is_ok_and(|number| number != 0 && number.abs() <= 31);
        match words {
            [date] if is_date(date) => Some(Form::Date),
            [number] if is_number(number) => Some(Form::Number),
            ["day", number] if is_number(number) => Some(Form::MonthDay),
            [month, number] if MONTHS.contains(month) && is_number(number) => Some(Form::Month),
            [weekday, number] if WEEKDAYS.contains(weekday) && is_number(number) => Some(Form::Weekday),
            [weekday, number, month] if WEEKDAYS.contains(weekday) && is_number(number) && MONTHS.contains(month) => {
                Some(Form::WeekdayOfMonth)
            }
            _ => None,
        }
    }

    fn may_end_with(self, end: Form) -> bool {
        match self {
            Form::Number => false,
            Form::Date | Form::WeekdayOfMonth => self == end,
            Form::Month | Form::MonthDay | Form::Weekday => end == self || end == Form::Number,
        }
    }
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(4, '-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str, max: u32| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|n| (1..=max).contains(&n))
    };
    year.len() == 4 && number(year, 9999) && number(month, 12) && number(day, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_known_and_what_is_near_it_is_not() {
        for (line, is_good) in [
            ("monday 00:00-24:00", true),
            ("monday\t09:00-12:00, 13:00-17:00", true),
            ("2026-01-31 00:00-24:00", true),
            ("2026-01-31 - 2026-02-10 / 3 00:00-24:00", true),
            ("2026-01-31 / 3  00:00-24:00", true),
            ("july 10 - 15 00:00-24:00", true),
            ("july 10-15 00:00-24:00", true),
            ("july 10 - august -1 / 2 00:00-24:00", true),
            ("day -1 00:00-24:00", true),
            ("day 1 - 15 09:00-10:00", true),
            ("day 1 - day 15 09:00-10:00", true),
            ("monday 3 january - tuesday -1 march / 2 00:00-00:00", true),
            ("friday -1 00:00-24:00", true),
            ("friday 1 - monday 2 00:00-24:00", true),
            ("friday 1 - 2 00:00-24:00", true),
            ("mondays 00:00-24:00", false),
            ("moonday 00:00-24:00", false),
            ("Monday 00:00-24:00", false),
            ("monday", false),
            ("monday 24:01-24:30", false),
            ("monday 10:00-09:00", false),
            ("monday 10:00", false),
            ("monday 10:60-11:00", false),
            ("monday 10:00-11:00,", false),
            ("monday / 2 10:00-11:00", false),
            ("july 00:00-24:00", false),
            ("july 0 00:00-24:00", false),
            ("july 32 00:00-24:00", false),
            ("2026-13-01 00:00-24:00", false),
            ("2026-01-31 - 5 00:00-24:00", false),
            ("5 00:00-24:00", false),
            ("day 1 / 0 00:00-24:00", false),
            ("", false),
        ] {
            assert_eq!(check(line).is_ok(), is_good, "{line}: {:?}", check(line));
        }
        assert_eq!(check("moonday 00:00-24:00"), Err("did you mean `monday`?".to_owned()));
    }
}
