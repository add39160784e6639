//! Fixtures of dates and ages: forms that are found whole, and what only looks like them.

use crate::Class;
use crate::detect::tests::{check, each, none};
use crate::{Detector, Part};

#[test]
fn dates_of_digits_are_found() {
    each(
        "seen {} again",
        Class::Date,
        &[
            "03/14/1962",
            "3/14/62",
            "14/3/1962",
            "14/03/62",
            "3/14/'62",
            "03-14-1962",
            "3-14-62",
            "14-03-1962",
            "03.14.1962",
            "14.03.1962",
            "14.03.62",
            "05.07.23",
            "1962-03-14",
            "1962/03/14",
            "1962.03.14",
            "1962-3-4",
            "03 / 14 / 1962",
            "3 - 14 - 1962",
            "03/1962",
            "3/2021",
            "62-03-14",
            "1962-03-14T08:30:00Z",
            "2024-03-14T08:30:00.000-05:00",
            "2018-01-14 03:07:43",
            "2024-03-14 08:30",
            "03/14/2024 8:30 AM",
            "03/14/2024, 08:30",
            "20210314",
            "19620314T083000",
            "3/1-3/5/21",
            "03/14-16/2024",
            "3/1 - 3/5/2021",
            "14MAR2021",
            "14Mar21",
            "MAR2021",
            "2021MAR14",
            "14-Mar-1962",
            "14-MAR-62",
            "14/Mar/1962",
        ],
    );
}

#[test]
fn a_day_and_a_month_as_ordinals_are_a_date() {
    each(
        "born {} here",
        Class::Date,
        &[
            "2nd of the 11th '58",
            "2nd of the 11th 1958",
            "third of the second fifty eight",
            "twenty-first of the 3rd",
        ],
    );
    none(&["the 2nd of the 15th", "third of the way", "first of the four"]);
}

#[test]
fn days_without_a_year_are_found_by_what_stands_around() {
    check("Next visit: <DATE>sat the 20th</DATE>.");
    check("And your birthday? <DATE>Four, twenty-three, thirty-six</DATE>. Thanks.");
    check("I typed <DATE>zero six, zero two, eighty-five</DATE>, and then");
    none(&["levels four, twenty-three, thirty-six"]);
    none(&[
        "Flu season usually peaks between December and February.",
        "The clinic is closed on Christmas Day and New Year's Day.",
    ]);
    check("She had the flu in <DATE>February</DATE>, as she usually does.");
    check("Baker out <DATE>12/23-1/2</DATE>, Carpenter covers.");
    check("Nxt <DATE>28/2</DATE>. U&E since <DATE>21/2</DATE>, seen <DATE>10/10</DATE> at home");
    none(&[
        "abx 14/7 and 18/12",
        "5/16-7/16 inch",
        "BiPAP from 14/6",
        "up from the ground",
        "sat on the chair",
    ]);
}

#[test]
fn a_holiday_is_a_date_by_its_year() {
    each(
        "since {} again",
        Class::Date,
        &[
            "thanksgiving 2023",
            "Labor Day weekend 2025",
            "Lent 2025",
            "Lunar New Year 2024",
            "Christmas week 2019",
        ],
    );
    none(&["he lent money", "the advent of insulin", "happy thanksgiving", "the year 2020"]);
}

#[test]
fn dates_in_words_are_found() {
    each(
        "seen {} again",
        Class::Date,
        &[
            "14 March 1962",
            "14th March 1962",
            "14th of March, 1962",
            "March 14, 1962",
            "March 14th, 1962",
            "March 14 1962",
            "Mar 14, 1962",
            "Mar. 14, 1962",
            "Mar.14,1962",
            "MARCH 14, 1962",
            "march 14, 1962",
            "Sept 3, 2021",
            "Sept. 3rd, 2021",
            "3 Sept 2021",
            "March 1962",
            "March of 1962",
            "March, 1962",
            "Mar '62",
            "Mar 14th '62",
            "March 14",
            "March 14th",
            "14 March",
            "14th of March",
            "12-14 March",
            "12\u{2013}14 March 2021",
            "March 12-14, 2021",
            "March 12 and 14, 2021",
            "12th to 14th of March",
            "1962 March 14",
            "1962-Mar-14",
            "14.III.1962",
            "14-XI-1962",
            "14 XI 1962",
            "14.XI.62",
            "Friday, March 3, 2021",
            "Fri 3/14/2021",
            "Friday 14 March",
            "Monday the 3rd",
            "Wednesday, November 5th",
            "March 3\u{a0}2021",
            "spring of 2019",
            "Fall 2009",
            "winter 2019-2020",
            "Q1 2021",
            "Q3/2020",
            "3Q 2020",
            "2021Q4",
            "third quarter of 2020",
            "Christmas 2020",
            "Thanksgiving Day",
            "New Year's Eve",
            "Labor Day",
            "Yom Kippur",
            "July 4th",
            "4th of July",
            "3rd of March",
        ],
    );
    check(
        "the week of <DATE>March 3</DATE>, in <DATE>March</DATE>, since <DATE>october</DATE>, last <DATE>June</DATE>",
    );
    check(
        "around <DATE>Thanksgiving</DATE>, last <DATE>Christmas</DATE>, before <DATE>Easter</DATE>",
    );
    check(
        "on <DATE>3/14</DATE> and since <DATE>10/09</DATE>, from <DATE>3/1</DATE> to <DATE>3/5/21</DATE>",
    );
    check(
        "1. seen <DATE>October 3, 2008</DATE> in the office\n2. <DATE>July 17, 2002</DATE>, x-rays",
    );
    check(
        "in <DATE>February two thousand four</DATE> and the UA on <DATE>05/02</DATE> came out well",
    );
    check("DOB: <DATE>03 14 1962</DATE>");
    check("DOB <DATE>031462</DATE>");
    check("Date: <DATE>3/14</DATE>");
    check("<DATE>3/14</DATE>: afebrile");
    check("in <DATE>11/97</DATE> he");
}

#[test]
fn spoken_dates_are_found() {
    each(
        "she came {} again",
        Class::Date,
        &[
            "march the third nineteen eighty two",
            "march third nineteen eighty two",
            "march third eighty two",
            "twenty first of june",
            "twenty-first of June 2019",
            "june twenty first two thousand nineteen",
            "fifth of may",
            "december first twenty twenty",
            "oh three fourteen sixty two",
            "three fourteen nineteen sixty two",
            "zero three fourteen nineteen sixty two",
            "January second two thousand and five",
            "may fourteenth nineteen oh five",
            "July thirty first O eight",
        ],
    );
}

#[test]
fn dates_in_other_languages_are_found() {
    each(
        "visto {} otra",
        Class::Date,
        &[
            "14 de marzo de 1962",
            "14 de marzo",
            "marzo de 2020",
            "Enero del 2017",
            "mayo 2003",
            "23-octubre-1972",
            "14 mars 1962",
            "1er janvier 2020",
            "3 février",
            "14. März 1962",
            "14. Oktober",
            "Januar 2020",
            "14 ottobre 2019",
            "3 de março de 2021",
        ],
    );
}

#[test]
fn a_date_that_wraps_is_found() {
    check("seen <DATE>March 14,\n1962</DATE> again");
    check("seen <DATE>March\n14, 1962</DATE> again");
    check("seen <DATE>14 March\n1962</DATE> again");
}

#[test]
fn what_only_looks_like_a_date_is_left() {
    none(&[
        "BP 120/80, HR 72, T 98.6, SpO2 98%, RR 16.",
        "strength 5/5 in both arms, 2/6 murmur, pain 7/10, C5-6 and L4-5 disc",
        "4/5 strength, L4/5 and C5/6 levels, T12/L1",
        "vision 20/40 and 20/20, OD 6/6, 6/12",
        "take 1/2 tablet, 0.5 mg, 10-20 mg, 5/325 mg, 1 1/2 tabs",
        "Norco 5/325, Percocet 10/325, Advair 250/50, Hyzaar 50/12.5, insulin 70/30 and 75/25",
        "pain was 10/10 and is now 3/10, from 8/10 to 3/10",
        "grade 2/6 systolic murmur, 3/6 holosystolic",
        "GCS 11/15, MMSE 28/30, Apgar 8/9, gait 12/28",
        "reflexes 2/4, pulses 2/4 bilaterally, 1/4 of the wall",
        "She may march in. We will follow up and see. It may, in part, be so.",
        "version 1.2.3, GCS 15, Hgb 12.1, Na 138, A1c 7.2, pH 7.35",
        "in 2019 and 1998, since 1985, for 2-3 weeks, 3 to 4 times, q6h",
        "3 weeks ago, yesterday, tomorrow, last week, two days prior, next month",
        "G3 P2-0-1-2, tooth 3, teeth 14-19, stage T2 N1 M0",
        "spring water, she had a fall in the home, summer camp, a fall on ice",
        "Christmas disease, a christmas tree pattern",
        "first, second and third toes; the second of two",
        "Take 2 in the morning, may 5 mg, 3 of 5 samples, 1 in 10",
        "epinephrine 1/1000, a 1/100,000 dilution, 7/8 inch, 3/4 of a cup",
        "suture 3-0 and 4-0 Vicryl, 2-0 silk, 5-0 nylon, 18-gauge, 14-16 Fr",
        "ABG 7.38/42/88, 7.02/18/10 on room air",
        "Lot 5, rows 3-4, chapter 2.1.2, 10-14 days, ratio 3/1",
        "0.2/0.3, 9/2.5, 1/2 NS at 75 mL/hr, D5 1/2 NS",
        "he may have 3 of the 12; march on; mar the surface",
        "one may say so, ten may come",
        "Q4 hours, q4h, QID, 1Q, Q2 hourly turns",
        "quarter of the tablet, third quarter moon",
        "eyes 1/1, ears 2/2, S1 S2, V1-V6, II, III, aVF",
        "2+ edema, 3+/4, trace, 1+ DP/PT",
    ]);
}

#[test]
fn ages_are_found_in_their_written_forms() {
    for age in [
        "<AGE>46</AGE>yo",
        "<AGE>46</AGE> yo",
        "<AGE>46</AGE> y/o",
        "<AGE>46</AGE>y/o",
        "<AGE>46</AGE> y.o.",
        "<AGE>46</AGE>y.o.",
        "<AGE>46</AGE>-year-old",
        "<AGE>46</AGE> year old",
        "<AGE>46</AGE> year-old",
        "<AGE>46</AGE>-yr-old",
        "<AGE>46</AGE> yr old",
        "<AGE>46</AGE>yr old",
        "<AGE>46</AGE> yrs old",
        "<AGE>46</AGE> years of age",
        "<AGE>46</AGE>yoF",
        "<AGE>46</AGE>yM",
        "<AGE>6</AGE>-month-old",
        "<AGE>5</AGE>-day-old",
        "<AGE>3</AGE> month old",
        "<AGE>3</AGE> wk old",
        "<AGE>2 1/2</AGE> year old",
        "<AGE>7-1/2</AGE>-month-old",
        "<AGE>2.5</AGE> year old",
        "<AGE>46</AGE>-year-\nold",
        "<AGE>46</AGE>-\nyear-old",
        "<AGE>46</AGE>-year\nold",
        "<AGE>forty-six</AGE>-year-old",
        "<AGE>forty six</AGE> year old",
        "<AGE>ninety two</AGE> years old",
        "<AGE>46</AGE> WF",
        "<AGE>46</AGE>WF",
        "<AGE>46</AGE> F",
        "<AGE>46</AGE>/F",
        "<AGE>46</AGE> M",
        "<AGE>46</AGE> year male",
        "<AGE>46</AGE> y/oRHF",
        "<AGE>46</AGE>y/oRHF",
    ] {
        check(&format!("This is a {age} with"));
    }
    check("aged <AGE>46</AGE>, age <AGE>46</AGE>, age of <AGE>46</AGE>, Age: <AGE>46</AGE>");
    check("aged <AGE>forty-six</AGE>, at the age of <AGE>sixty</AGE> she");
    check(
        "ages <AGE>5</AGE>, <AGE>7</AGE> and <AGE>9</AGE>; a <AGE>4</AGE> and <AGE>6</AGE> year old",
    );
    check("<AGE>46</AGE>F with cough. (<AGE>46</AGE>M)");
    check("he turned <AGE>60</AGE>; when she was <AGE>64</AGE>. Her father died at <AGE>61</AGE>.");
    check("in his <AGE>nineties</AGE>, in her mid-<AGE>80s</AGE>, an <AGE>octogenarian</AGE>");
    check("His mother, <AGE>72</AGE>, has diabetes");
    check("Edad: <AGE>62</AGE> años; mujer de <AGE>62</AGE> años; eine <AGE>82</AGE>-jährige Frau");
    check("Age/Sex: <AGE>46</AGE>/F");
}

#[test]
fn what_only_looks_like_an_age_is_left() {
    none(&[
        "for 10 years she smoked, 40 pack years, x 3 days, q 6 months",
        "day 3 of 5, stage 3, page 92, room 46, BMI 46, HR 92",
        "T 98.6 F, 20 F sheath, 24 F Foley, 5 M solution",
        "since the nineties, in the 80s, sats in the 90s, pressures in the 80s and 90s",
        "46 mg, 46%, 46 mL, 46 beats, 46 months of therapy",
        "average of 46, was 46 and is 47, goes at 5 and 7",
        "one year ago, two years later, six months of pain",
        "hace 10 años, durante 5 años",
        "middle aged, age-appropriate, of advanced age, old records",
        "3 M tape, 12 F drain, M 5, V/F 20",
        "at 2:00AM and 3:30 PM, Technetium 99m and others",
        "gestational sac, image 12 of 46, 2 year follow up",
    ]);
}

#[test]
fn ages_over_89_are_told_apart() {
    let detector = Detector::new();
    let recogniser =
        |text: &str| detector.scan(&[Part { text, label: None }]).unwrap()[0][0].recogniser;
    for text in [
        "a 90-year-old",
        "aged 104",
        "92yo",
        "in her nineties",
        "ninety-one years old",
        "age 91",
        "a centenarian",
        "Age: 95",
        "91 y/o",
        "ONE HUNDRED AND TWO YEARS OLD",
    ] {
        assert_eq!(recogniser(text), "age.over89", "{text}");
    }
    for text in ["an 89-year-old", "aged 14", "a 90-day-old", "in her eighties", "95 months old"] {
        assert_eq!(recogniser(text), "age", "{text}");
    }
    for text in [
        "DOB: 03/14/1931",
        "born on March 3, 1920",
        "date of birth 1930-01-02",
        "DOB 3/4/31",
        "DOB 19301231",
    ] {
        assert_eq!(recogniser(text), "date.over89", "{text}");
    }
    for text in ["DOB: 03/14/1962", "surgery on March 3, 1920", "DOB 3/4/18"] {
        assert_ne!(recogniser(text), "date.over89", "{text}");
    }
}
