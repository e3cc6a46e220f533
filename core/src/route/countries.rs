//! Countries of a routing policy: ISO 3166-1 codes of two letters, and `EU` for the members of the European Union.

/// Returns whether this is the code of a country, or `EU`, in any case.
pub(super) fn is_region(code: &str) -> bool {
    let code = code.to_ascii_uppercase();
    code == UNION || COUNTRIES.split_whitespace().any(|country| country == code)
}

/// Returns the code that is usually meant by one that is none; `None` if unknown.
pub(super) fn likely_region(code: &str) -> Option<&'static str> {
    let code = code.to_ascii_uppercase();
    let found = MISTAKES.iter().find(|(wrong, _)| *wrong == code);
    found.map(|(_, region)| *region)
}

/// Returns whether the country is a member of the European Union.
pub(super) fn is_union_member(country: &str) -> bool {
    let country = country.to_ascii_uppercase();
    UNION_MEMBERS.split_whitespace().any(|member| member == country)
}

/// The code for all members of the European Union; ISO 3166 reserves it for that.
pub(super) const UNION: &str = "EU";

/// The members of the European Union.
const UNION_MEMBERS: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";

/// The officially assigned codes of ISO 3166-1 alpha-2, as of 2026.
const COUNTRIES: &str = "
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT
    JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Frequent mistakes, and the codes that they mean.
const MISTAKES: [(&str, &str); 6] = [
    ("UK", "GB"),
    ("EL", "GR"),
    ("EN", "GB"),
    ("JA", "JP"),
    ("KO", "KR"),
    ("SW", "CH"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_code_is_a_region_and_no_mistake_is() {
        assert_eq!(COUNTRIES.split_whitespace().count(), 249);
        assert_eq!(UNION_MEMBERS.split_whitespace().count(), 27);
        assert!(UNION_MEMBERS.split_whitespace().all(is_region));
        assert!(is_region("gb") && is_region("EU"));
        for (wrong, region) in MISTAKES {
            assert!(!is_region(wrong) && is_region(region), "{wrong}");
            assert_eq!(likely_region(&wrong.to_lowercase()), Some(region));
        }
        for wrong in ["", "XX", "ZZ", "DEU", "D", " DE"] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }
}
