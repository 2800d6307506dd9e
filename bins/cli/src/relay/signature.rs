//! Signatures as Standard Webhooks 1.0 defines them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;

/// What events are signed with: one secret, or two while the first is being replaced by the second.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<Hmac<Sha256>>);

impl Secrets {
    /// Reads the lines of a file, each `whsec_` and the base64 of 24 to 64 bytes.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets = lines.map(secret).collect::<Result<Vec<_>, _>>()?;
        match secrets.len() {
            1 | 2 => Ok(Self(secrets)),
            0 => Err("there is no secret in it".into()),
            more => Err(format!("there are {more} secrets in it; one, or two while one is replaced, are needed")),
        }
    }

    /// The value of `webhook-signature`: a signature with each secret, for a receiver that knows one of them.
    pub(super) fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|secret| {
            let mut hmac = secret.clone();
            hmac.update(format!("{id}.{timestamp_s}.").as_bytes());
            hmac.update(body);
            format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn secret(line: &str) -> Result<Hmac<Sha256>, String> {
    let key = line.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    let key = key.filter(|key| (24..=64).contains(&key.len()));
    let key = key.ok_or("a secret is whsec_ and the base64 of 24 to 64 random bytes")?;
    Ok(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// As the libraries of Standard Webhooks have it in their tests, and as Python's `hmac` computes it.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn it_signs_as_the_standard_s_own_libraries_do() {
        assert_eq!(Secrets::read(&format!("{SECRET}\n")).unwrap().sign(ID, 1_614_265_330, BODY), SIGNATURE);
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let both = Secrets::read(&format!("{other}\n\n{SECRET}\n")).unwrap().sign(ID, 1_614_265_330, BODY);
        let (first, second) = both.split_once(' ').unwrap();
        assert!(first.starts_with("v1,") && first != SIGNATURE && second == SIGNATURE, "{both}");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let three = format!("{SECRET}\n{SECRET}\n{SECRET}");
        for (text, says) in [
            ("", "no secret"),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_"),
            (&short, "24 to 64"),
            (&three, "3 secrets"),
        ] {
            assert!(Secrets::read(text).unwrap_err().contains(says), "{text}");
        }
        assert_eq!(format!("{:?}", Secrets::read(SECRET).unwrap()), "Secrets(…)");
    }
}
