//! Calendar arithmetic on civil days: pure integers, no time zone, no clock.

use serde::{Deserialize, Serialize};

/// A civil day, counted from 1970-01-01 in the proleptic Gregorian calendar.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CivilDay(pub i32);

/// A month of one year, counted from January of year 0: the month after December is one more.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct YearMonth(pub i32);

impl YearMonth {
    /// `month` counts from 1.
    pub fn new(year: i32, month: u8) -> Self {
        YearMonth(year * 12 + i32::from(month) - 1)
    }

    pub fn year(self) -> i32 {
        self.0.div_euclid(12)
    }

    /// From 1.
    pub fn month(self) -> u8 {
        self.0.rem_euclid(12) as u8 + 1
    }

    pub fn first_day(self) -> CivilDay {
        CivilDay::from_ymd(self.year(), self.month(), 1)
    }

    pub fn last_day(self) -> CivilDay {
        CivilDay(self.next().first_day().0 - 1)
    }

    pub fn next(self) -> Self {
        YearMonth(self.0 + 1)
    }

    pub fn previous(self) -> Self {
        YearMonth(self.0 - 1)
    }

    /// Day `number` of this month, from the end if negative (-1 = the last one); `None` if the month has no such day.
    pub fn day(self, number: i8) -> Option<CivilDay> {
        let (first, last) = (self.first_day(), self.last_day());
        let day = match number {
            0 => return None,
            1.. => CivilDay(first.0 + i32::from(number) - 1),
            _ => CivilDay(last.0 + i32::from(number) + 1),
        };
        (first..=last).contains(&day).then_some(day)
    }

    /// The `nth` `weekday` (0 = Monday) of this month, from the end if negative.
    pub fn weekday(self, weekday: u8, nth: i8) -> Option<CivilDay> {
        let (first, last) = (self.first_day(), self.last_day());
        let day = if nth > 0 {
            let to_first = (i32::from(weekday) - i32::from(first.weekday())).rem_euclid(7);
            CivilDay(first.0 + to_first + 7 * (i32::from(nth) - 1))
        } else {
            let from_last = (i32::from(last.weekday()) - i32::from(weekday)).rem_euclid(7);
            CivilDay(last.0 - from_last + 7 * (i32::from(nth) + 1))
        };
        (nth != 0 && (first..=last).contains(&day)).then_some(day)
    }
}

impl CivilDay {
    /// The day of a date that exists; `month` and `day` count from 1.
    ///
    /// Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`: years begin in March, so that
    /// the leap day is the last one.
    pub fn from_ymd(year: i32, month: u8, day: u8) -> Self {
        let year = year - i32::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i32::from(month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i32::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        CivilDay(era * 146_097 + day_of_era - 719_468)
    }

    /// Year, month, day; the inverse of [`CivilDay::from_ymd`] (`civil_from_days` of the same source).
    pub fn ymd(self) -> (i32, u8, u8) {
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u8;
        (year_of_era + era * 400 + i32::from(month <= 2), month, day)
    }

    pub fn year_month(self) -> YearMonth {
        let (year, month, _) = self.ymd();
        YearMonth::new(year, month)
    }

    /// 0 = Monday. 1970-01-01 was a Thursday.
    pub fn weekday(self) -> u8 {
        (self.0 + 3).rem_euclid(7) as u8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_of_a_month_count_from_both_ends() {
        let february = YearMonth::new(2028, 2);
        let day = |number| february.day(number).map(|day| day.ymd().2);
        assert_eq!(
            [day(1), day(29), day(30), day(-1), day(-29), day(-30), day(0)],
            [Some(1), Some(29), None, Some(29), Some(1), None, None]
        );
        // 2027-05-03 is a Monday, the first of five.
        let may = YearMonth::new(2027, 5);
        let monday = |nth| may.weekday(0, nth).map(|day| day.ymd().2);
        assert_eq!(
            [monday(1), monday(5), monday(6), monday(-1), monday(-5), monday(-6)],
            [Some(3), Some(31), None, Some(31), Some(3), None]
        );
    }

    proptest! {
        #[test]
        fn days_agree_with_the_calendar_of_jiff(number in -700_000i32..2_900_000) {
            let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(number)).expect("in range");
            let day = CivilDay(number);
            prop_assert_eq!(day.ymd(), (i32::from(date.year()), date.month() as u8, date.day() as u8));
            let (year, month, of_month) = day.ymd();
            prop_assert_eq!(CivilDay::from_ymd(year, month, of_month), day);
            prop_assert_eq!(day.weekday() as i8, date.weekday().to_monday_zero_offset());
            prop_assert_eq!(day.year_month().last_day().ymd().2 as i8, date.days_in_month());
        }
    }
}
