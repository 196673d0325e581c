//! Dates in titles. Installers print local time; an image has no time zone, so it has UTC.

use image_tree::Timestamp;

/// `YYYY-MM-DD` of seconds since 1970 (`strftime` with `%F`), from 1901 to 2446.
pub(crate) fn date(time: Timestamp) -> String {
    let seconds = time.seconds();
    let days = seconds.div_euclid(86_400);
    // The proleptic Gregorian calendar in eras of 400 years that begin on 1 March ("civil_from_days" of Howard Hinnant).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| date(Timestamp::new(seconds, 0).unwrap());
        assert_eq!(at(0), "1970-01-01");
        assert_eq!(at(1), "1970-01-01");
        assert_eq!(at(951_782_400), "2000-02-29");
        assert_eq!(at(951_868_799), "2000-02-29");
        assert_eq!(at(951_868_800), "2000-03-01");
        assert_eq!(at(4_107_542_399), "2100-02-28");
        assert_eq!(at(4_107_542_400), "2100-03-01");
        assert_eq!(at(1_735_689_600), "2025-01-01");
    }
}
