//! The currencies of ISO 4217 with their numbers of decimals.
//!
//! Source: ISO 4217, list one ("Current currency & funds code list"), as its maintenance agency, SIX, publishes it, with the
//! amendments up to January 2026. Funds codes, precious metals, units of account and test codes are left out: no shop has prices in them.

/// Numbers of decimals, and the codes that have them.
pub(super) const CURRENCIES: [(u8, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP \
         CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES \
         KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK \
         NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB \
         TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

/// Signs that people write instead of codes, and the currencies that each may stand for, its own one first if it has one. The sign of
/// the first group is shown before amounts.
pub(super) const SIGNS: [(&str, &str); 36] = [
    (
        "$",
        "USD ARS AUD BBD BMD BND BSD BZD CAD CLP COP CUP DOP FJD GYD HKD HNL JMD KYD LRD MXN NAD NIO NZD SBD SGD SRD TTD TWD UYU XCD",
    ),
    ("€", "EUR"),
    ("£", "GBP EGP FKP GIP LBP SDG SHP SSP SYP"),
    ("¥", "JPY CNY"),
    ("₹", "INR"),
    ("₽", "RUB"),
    ("₩", "KRW KPW"),
    ("₪", "ILS"),
    ("₺", "TRY"),
    ("฿", "THB"),
    ("US$", "USD"),
    ("U$", "USD UYU"),
    ("A$", "AUD"),
    ("AU$", "AUD"),
    ("C$", "CAD NIO"),
    ("CA$", "CAD"),
    ("NZ$", "NZD"),
    ("S$", "SGD SBD"),
    ("SG$", "SGD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("MX$", "MXN"),
    ("R$", "BRL"),
    ("CN¥", "CNY"),
    ("JP¥", "JPY"),
    ("FR", "CHF XAF XOF XPF BIF DJF GNF KMF RWF CDF"),
    ("SFR", "CHF"),
    ("KR", "SEK NOK DKK ISK"),
    ("KČ", "CZK"),
    ("ZŁ", "PLN"),
    ("FT", "HUF"),
    ("LEI", "RON MDL"),
    ("R", "ZAR"),
    ("RS", "INR PKR LKR NPR MUR SCR"),
    ("RP", "IDR"),
    ("RM", "MYR"),
];
