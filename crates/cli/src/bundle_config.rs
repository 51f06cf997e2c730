//! Where the server publishes its bundle, as `up` was told and the data folder remembers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chancery_crypto::replace_private_file;
use chancery_identity::federation::DEFAULT_REFRESH_SECONDS;
use chancery_identity::jwt_svid::JwtIssuer;
use chancery_server::{BundleEndpointConfig, WebEndpoint};
use serde::{Deserialize, Serialize};

use crate::args::BundleArgs;

/// The endpoints of the bundle; none where none was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleFile {
    /// Where it is served by the server's X.509-SVID.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) https_spiffe: Option<SocketAddr>,
    /// Where it is served by a certificate of the Web's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) https_web: Option<Web>,
    /// After how many seconds others are to fetch again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) refresh_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Web {
    pub(crate) listen: SocketAddr,
    certificate: PathBuf,
    key: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) issuer: Option<JwtIssuer>,
}

impl BundleFile {
    /// What is remembered; nothing in a folder where nothing was asked for.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// What `up` says takes the place of what is remembered, where it says anything.
    pub(crate) fn configure(path: &Path, args: &BundleArgs) -> anyhow::Result<Self> {
        let Some(told) = Self::told(args)? else {
            return Self::read(path);
        };
        replace_private_file(path, &serde_json::to_vec_pretty(&told)?)?;
        Ok(told)
    }

    fn told(args: &BundleArgs) -> anyhow::Result<Option<Self>> {
        if args.no_bundle_endpoint {
            return Ok(Some(Self::default()));
        }
        let absolute =
            |path: &PathBuf| std::path::absolute(path).with_context(|| path.display().to_string());
        let web = match (&args.web, &args.web_certificate, &args.web_key) {
            (Some(listen), Some(certificate), Some(key)) => Some(Web {
                listen: *listen,
                certificate: absolute(certificate)?,
                key: absolute(key)?,
                issuer: args.oidc_issuer.clone(),
            }),
            _ => None,
        };
        let told = Self {
            https_spiffe: args.spiffe,
            https_web: web,
            refresh_seconds: args.refresh,
        };
        if told == Self::default() {
            return Ok(None);
        }
        ensure!(
            told.https_spiffe.is_some() || told.https_web.is_some(),
            "--bundle-refresh says when a bundle is fetched again; say where it is served, with \
             --bundle-spiffe or --bundle-web"
        );
        Ok(Some(told))
    }

    pub(crate) fn refresh_hint(&self) -> u64 {
        self.refresh_seconds.unwrap_or(DEFAULT_REFRESH_SECONDS)
    }

    /// The issuer that JWT-SVIDs name.
    pub(crate) fn issuer(&self) -> Option<JwtIssuer> {
        self.https_web.as_ref().and_then(|web| web.issuer.clone())
    }

    /// As the server takes it.
    pub(crate) fn endpoints(&self) -> BundleEndpointConfig {
        BundleEndpointConfig {
            https_spiffe: self.https_spiffe,
            https_web: self.https_web.clone().map(|web| WebEndpoint {
                listen: web.listen,
                certificate: web.certificate,
                key: web.key,
                issuer: web.issuer,
            }),
        }
    }
}
