//! Which options go together.

use super::value::Way;
use super::{ConfigError, SessionConfig};

impl SessionConfig {
    /// What builder methods cannot say of each other, because only the last of them would count.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_transport()?;
        if self.dev_http == Some(true) && self.cookie_secure == Some(true) {
            let problem = "is for plain HTTP, where no browser sends a cookie that is secure: \
                           leave one of them out";
            return Err(contradiction("cookie_secure", problem));
        }
        let signs = self.token_keys.is_some() || self.token_keys_file.is_some();
        let encrypts = self.encryption_keys.is_some() || self.encryption_keys_file.is_some();
        let unsigned = self.accept_unsigned_tokens == Some(true);
        let plaintext = self.accept_plaintext == Some(true);
        // Each with those that say more about it.
        for (option, is_set, others) in [
            (
                "token_keys",
                signs,
                &[("accept_unsigned_tokens", unsigned)][..],
            ),
            (
                "encryption_keys",
                encrypts,
                &[("accept_plaintext", plaintext)],
            ),
            (
                "user_cap",
                self.user_cap.is_some(),
                &[("user_cap_when_full", self.user_cap_when_full.is_some())],
            ),
            (
                "trusted_proxies",
                self.trusted_proxies.is_some(),
                &[(
                    "trusted_proxies_header",
                    self.trusted_proxies_header.is_some(),
                )],
            ),
            (
                "fingerprint",
                self.fingerprint.is_some(),
                &[
                    (
                        "fingerprint_user_agent",
                        self.fingerprint_user_agent.is_some(),
                    ),
                    (
                        "fingerprint_accept_language",
                        self.fingerprint_accept_language.is_some(),
                    ),
                    ("fingerprint_ip", self.fingerprint_ip.is_some()),
                ],
            ),
            (
                "temp_dir",
                self.temp_dir.is_some(),
                &[
                    ("temp_max_bytes", self.temp_max_bytes.is_some()),
                    ("temp_max_files", self.temp_max_files.is_some()),
                ],
            ),
        ] {
            let other = others.iter().find(|(_, other_is_set)| *other_is_set);
            if let (false, Some((other, _))) = (is_set, other) {
                let problem = format!("means nothing without `{option}`: leave it out");
                return Err(contradiction(other, problem));
            }
        }
        if self.temp_dir.is_some() && !cfg!(feature = "temp") {
            return Err(ConfigError::NotInThisBuild {
                option: "temp_dir",
                feature: "temp",
            });
        }
        Ok(())
    }

    fn check_transport(&self) -> Result<(), ConfigError> {
        let way = self.transport.unwrap_or(Way::Cookie);
        let of_cookies = [
            ("cookie_name", self.cookie_name.is_some()),
            ("cookie_path", self.cookie_path.is_some()),
            ("cookie_domain", self.cookie_domain.is_some()),
            ("cookie_secure", self.cookie_secure.is_some()),
            ("cookie_http_only", self.cookie_http_only.is_some()),
            ("cookie_same_site", self.cookie_same_site.is_some()),
            ("cookie_partitioned", self.cookie_partitioned.is_some()),
            (
                "cookie_expire_on_close",
                self.cookie_expire_on_close.is_some(),
            ),
            ("dev_http", self.dev_http.is_some()),
        ];
        let of_headers = [(
            "transport_response_header",
            self.transport_response_header.is_some(),
        )];
        let others = if way == Way::Cookie {
            &of_headers[..]
        } else {
            &of_cookies
        };
        if let Some((option, _)) = others.iter().find(|(_, is_set)| *is_set) {
            let problem = "means nothing with this `transport`: leave it out";
            return Err(contradiction(option, problem));
        }
        match (way, &self.transport_header) {
            (Way::Header, None) => Err(contradiction(
                "transport",
                "`header` needs `transport_header`, the field's name",
            )),
            (Way::Cookie | Way::Bearer, Some(_)) => Err(contradiction(
                "transport_header",
                "means nothing without `transport` being `header`: leave it out",
            )),
            _ => Ok(()),
        }
    }
}

fn contradiction(option: &'static str, problem: impl Into<String>) -> ConfigError {
    let problem = problem.into();
    ConfigError::Contradiction { option, problem }
}
