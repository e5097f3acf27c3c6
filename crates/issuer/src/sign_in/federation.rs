//! Leaving for a provider, and coming back from it.

use super::claims::{self, ClaimsError};
use super::code::{self, RedeemError, Redeemed, Renewed};
use super::departure::{Departure, Departures, Ticket};
use super::fetch::FetchError;
use super::id_token::{self, Expected, IdTokenError, OpenError};
use super::provider::{Metadata, Provider, ProviderError};
use super::{ProviderConfig, TenantConfig};
use crate::person::Arrival;
use crate::session::Opening;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Clock, Code, Dice, Digest};
use net::egress::Client;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use storage::{Db, StorageError};
use vault::SigningKeys;

/// The providers of all tenants.
pub struct Federation {
    providers: HashMap<(String, String), Arc<Provider>>,
    departures: Departures,
    keys: Arc<SigningKeys>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    redirect_uri: String,
}

/// Where a browser is sent, and what it takes along.
pub struct Departed {
    /// The provider's authorization endpoint with our request.
    pub url: String,
    /// The value of the departure's cookie.
    pub cookie: String,
}

/// What a browser brings back: the parameters of the callback.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// `state`.
    pub state: String,
    /// `code`.
    pub code: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
}

/// Somebody is vouched for.
#[derive(Debug)]
pub struct Arrived {
    /// Who.
    pub arrival: Arrival,
    /// The session that follows from it, but for the person.
    pub opening: Opening,
    /// What the provider is asked with again.
    pub refresh_token: Option<String>,
    /// Where the browser goes on to.
    pub next: String,
}

/// A sign-in did not come about. For the record and for pages: nothing of a token is in its texts.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such tenant or provider any more.
    #[error("there is no such provider")]
    NoProvider,
    /// The state is not one of this browser's, was used, or is too old.
    #[error("the state is not this browser's, was used already, or is too old")]
    State,
    /// The response is of another issuer, or names none although it must.
    #[error("the response is not the provider's own: its `iss` is missing or another")]
    Issuer,
    /// The provider sent the browser back with an error.
    #[error("the provider says: {0}")]
    Said(String),
    /// The code was not redeemed.
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    /// The ID token is not believed.
    #[error("the ID token is refused: {0}")]
    IdToken(#[from] IdTokenError),
    /// Its claims cannot be used.
    #[error("the claims cannot be used: {0}")]
    Claims(#[from] ClaimsError),
    /// Userinfo about somebody else.
    #[error("the userinfo is not about the person of the ID token")]
    Userinfo,
    /// The provider let the person in without asking, where it was told to ask.
    #[error("the provider did not have the person sign in again, which was asked for")]
    NotAgain,
    /// The provider vouches for somebody else than it was asked about.
    #[error("the provider vouches for another person")]
    Another,
    /// The provider cannot be reached, or is not what it should be.
    #[error("the provider cannot be used: {0}")]
    Provider(#[from] ProviderError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl SignInError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::NoProvider => Code::SIGN_IN_NO_PROVIDER,
            Self::State => Code::SIGN_IN_STATE,
            Self::Issuer | Self::IdToken(_) | Self::Userinfo | Self::NotAgain | Self::Another => {
                Code::SIGN_IN_UNTRUSTED
            }
            Self::Said(_) | Self::Redeem(RedeemError::Refused(_)) => Code::SIGN_IN_REFUSED,
            Self::Claims(_) => Code::SIGN_IN_CLAIMS,
            Self::Redeem(_) | Self::Provider(_) => Code::SIGN_IN_PROVIDER_DOWN,
            Self::Storage(_) => Code::SIGN_IN_UNAVAILABLE,
        }
    }
}

impl SignInError {
    /// Whether the provider has said that it does not vouch for a person any more, or only not said that it does. A word
    /// about us (`invalid_client`) is none about the person.
    pub(crate) fn is_no(&self) -> bool {
        const NO: [&str; 5] =
            ["invalid_grant", "interaction_required", "login_required", "consent_required", "access_denied"];
        match self {
            Self::Redeem(RedeemError::Refused(word)) => NO.contains(&word.as_str()),
            Self::Another => true,
            _ => false,
        }
    }

    /// Whether the provider, or something of ours, could not be reached.
    pub(crate) fn is_away(&self) -> bool {
        const LATER: [&str; 2] = ["temporarily_unavailable", "server_error"];
        match self {
            Self::Provider(_) | Self::Storage(_) => true,
            Self::Redeem(RedeemError::Refused(word)) => LATER.contains(&word.as_str()),
            Self::Redeem(RedeemError::Provider(_) | RedeemError::Assertion(_)) => true,
            _ => false,
        }
    }
}

impl From<OpenError> for SignInError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Token(error) => Self::IdToken(error),
            OpenError::Provider(error) => Self::Provider(error),
        }
    }
}

impl Federation {
    /// The providers of these tenants. `callback` is the one redirect URI that is registered at all of them.
    pub fn new(
        tenants: &[Arc<TenantConfig>],
        db: Db,
        egress: &Client,
        keys: Arc<SigningKeys>,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
        callback: String,
    ) -> Self {
        let named = tenants.iter().flat_map(|tenant| {
            tenant.providers.iter().map(|provider| {
                let made = Provider::new(Arc::clone(provider), egress.clone(), Arc::clone(&clock));
                ((tenant.name.to_string(), provider.name.clone()), Arc::new(made))
            })
        });
        let providers = named.collect();
        let departures = Departures::new(db, Arc::clone(&clock), Arc::clone(&dice));
        Self { providers, departures, keys, clock, dice, redirect_uri: callback }
    }

    pub(crate) fn provider(&self, tenant: &str, name: &str) -> Result<&Arc<Provider>, SignInError> {
        self.providers.get(&(tenant.to_owned(), name.to_owned())).ok_or(SignInError::NoProvider)
    }

    /// Sends a browser to a provider, to come back and go on to `next`; `again` asks the provider to have the person
    /// sign in there although they are signed in.
    ///
    /// # Errors
    /// [`SignInError::Provider`] when the provider is down, before the browser has left.
    pub async fn leave(
        &self,
        tenant: &str,
        name: &str,
        next: &str,
        again: bool,
    ) -> Result<Departed, SignInError> {
        let provider = self.provider(tenant, name)?;
        let metadata = provider.metadata().await?;
        let departure = Departure {
            tenant: tenant.to_owned(),
            provider: name.to_owned(),
            issuer: provider.config.issuer.clone(),
            next: next.to_owned(),
        };
        let ticket = self.departures.leave(&departure).await?;
        let url = self.request(&provider.config, &metadata, &ticket, again);
        Ok(Departed { url, cookie: ticket.browser })
    }

    fn request(&self, config: &ProviderConfig, metadata: &Metadata, ticket: &Ticket, again: bool) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &config.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &asked_scopes(config))
            .append_pair("state", &ticket.state)
            .append_pair("nonce", &ticket.nonce());
        let offline = config.recheck.map_or(&[][..], |_| config.profile.offline);
        let prompts = offline.iter().filter(|(name, _)| *name == "prompt").map(|(_, word)| *word);
        let prompts: Vec<&str> = again.then_some("login").into_iter().chain(prompts).collect();
        if !prompts.is_empty() {
            query.append_pair("prompt", &prompts.join(" "));
        }
        if again {
            query.append_pair("max_age", "0");
        }
        query.extend_pairs(offline.iter().filter(|(name, _)| *name != "prompt"));
        if config.pkce {
            let challenge = URL_SAFE_NO_PAD.encode(Digest::of(ticket.verifier().as_bytes()).0);
            query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
        }
        if let (Some(name), Some(directory)) = (config.profile.directory_hint, &config.directory) {
            query.append_pair(name, directory);
        }
        let joint = if metadata.authorization_endpoint.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}", metadata.authorization_endpoint, query.finish())
    }

    /// Takes a browser back. `cookie` is the departure's cookie; the state is used up as soon as both fit.
    ///
    /// # Errors
    /// [`SignInError`], together with the tenant and provider it was about, if that is known.
    pub async fn back(
        &self,
        returned: &Returned,
        cookie: Option<&str>,
    ) -> Result<Arrived, (SignInError, Option<(String, String)>)> {
        let Some(cookie) = cookie else { return Err((SignInError::State, None)) };
        let ticket = Ticket { state: returned.state.clone(), browser: cookie.to_owned() };
        let departure = match self.departures.back(&ticket).await {
            Ok(Some(departure)) => departure,
            Ok(None) => return Err((SignInError::State, None)),
            Err(error) => return Err((error.into(), None)),
        };
        let about = (departure.tenant.clone(), departure.provider.clone());
        self.arrive(returned, &ticket, departure).await.map_err(|error| (error, Some(about)))
    }

    async fn arrive(
        &self,
        returned: &Returned,
        ticket: &Ticket,
        departure: Departure,
    ) -> Result<Arrived, SignInError> {
        let provider = self.provider(&departure.tenant, &departure.provider)?;
        let config = &provider.config;
        // A reload may have put another provider in its place.
        if config.issuer != departure.issuer {
            return Err(SignInError::Issuer);
        }
        let metadata = provider.metadata().await?;
        // SECURITY: whose response it is comes before anything in it is looked at, its error included (RFC 9207 §2.4;
        // test: `a_response_of_another_issuer_is_refused`).
        match &returned.iss {
            Some(iss) if *iss != config.issuer => return Err(SignInError::Issuer),
            None if metadata.sends_issuer => return Err(SignInError::Issuer),
            _ => {}
        }
        if let Some(error) = &returned.error {
            return Err(SignInError::Said(id_token::error_word(error).to_owned()));
        }
        let code = returned.code.as_deref().filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| SignInError::Said("no code".to_owned()))?;
        let verifier = config.pkce.then(|| ticket.verifier());
        let redeemed = Redeemed { code, redirect_uri: &self.redirect_uri, verifier: verifier.as_deref() };
        let now = self.clock.now();
        let tokens =
            code::redeem(provider, &metadata, &redeemed, &self.keys, self.dice.as_ref(), now).await?;
        let nonce = ticket.nonce();
        let given = (tokens.id_token.as_str(), tokens.access_token.as_deref());
        let claims = self.vouched(provider, &metadata, given, Some(&nonce)).await?;
        let read = claims::read(&claims, config)?;
        let text = |name: &str| {
            claims.get(name).and_then(Value::as_str).map(|text| text.chars().take(255).collect())
        };
        let amr = claims.get("amr").and_then(Value::as_array);
        let amr = amr.map(|all| all.iter().filter_map(Value::as_str).take(16).map(str::to_owned).collect());
        let opening = Opening {
            tenant: departure.tenant.clone(),
            vouched: Some((config.issuer.clone(), read.subject.clone())),
            idp_sid: text("sid"),
            auth_time: claims.get("auth_time").and_then(id_token::numeric_date),
            amr: amr.unwrap_or_default(),
            acr: text("acr"),
            ..Opening::default()
        };
        let arrival = Arrival {
            tenant: departure.tenant,
            provider: departure.provider,
            issuer: config.issuer.clone(),
            subject: read.subject,
            name: read.name,
            email: read.email,
            roles: read.roles,
            groups: read.groups,
        };
        Ok(Arrived { arrival, opening, refresh_token: tokens.refresh_token, next: departure.next })
    }

    /// A provider that can be asked again now, by its metadata.
    ///
    /// # Errors
    /// [`SignInError::Provider`].
    pub(crate) async fn ready(&self, provider: &Provider) -> Result<Arc<Metadata>, SignInError> {
        Ok(provider.metadata_unless_busy().await?)
    }

    /// Uses a provider's refresh token. What comes back has to be kept before anything is made of it.
    ///
    /// # Errors
    /// [`SignInError`]; [`SignInError::is_no`] tells whether the provider said no.
    pub(crate) async fn renew(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        token: &str,
    ) -> Result<Renewed, SignInError> {
        let now = self.clock.now();
        Ok(code::renew(provider, metadata, token, &self.keys, self.dice.as_ref(), now).await?)
    }

    /// What a provider says now of whom it knows by `subject`, in what its refresh token brought; `None` where it brought no
    /// ID token (OpenID Connect Core §12.2 leaves that open).
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn again(
        &self,
        provider: &Provider,
        subject: &str,
        renewed: &Renewed,
    ) -> Result<Option<claims::Read>, SignInError> {
        let Some(id_token) = &renewed.id_token else {
            // RFC 6749 §5.1: without either it is no answer.
            return if renewed.access_token.is_some() {
                Ok(None)
            } else {
                Err(RedeemError::NoAccessToken.into())
            };
        };
        let metadata = provider.metadata().await?;
        let given = (id_token.as_str(), renewed.access_token.as_deref());
        let claims = self.vouched(provider, &metadata, given, None).await?;
        let read = claims::read(&claims, &provider.config)?;
        // SECURITY: OpenID Connect Core §12.2 (test: `a_provider_that_vouches_for_another_ends_what_was_there`).
        if read.subject == subject { Ok(Some(read)) } else { Err(SignInError::Another) }
    }

    /// The claims that the provider vouches for: the ID token's, and what userinfo adds to them.
    async fn vouched(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        (id_token, access_token): (&str, Option<&str>),
        nonce: Option<&str>,
    ) -> Result<Map<String, Value>, SignInError> {
        let (mut claims, algorithm) = id_token::open(id_token, provider, &["jwt"]).await?;
        let expected = Expected { nonce, access_token, now: self.clock.now() };
        id_token::check(&claims, &algorithm, &provider.config, &expected)?;
        if !provider.config.userinfo {
            return Ok(claims);
        }
        let (Some(url), Some(token)) = (&metadata.userinfo_endpoint, access_token) else {
            return Err(ProviderError::Lacks("userinfo_endpoint").into());
        };
        let more = provider.userinfo(url, token).await?;
        // SECURITY: OpenID Connect Core §5.3.4 (test: `userinfo_about_somebody_else_is_refused`).
        if more.get("sub") != claims.get("sub") || claims.get("sub").is_none() {
            return Err(SignInError::Userinfo);
        }
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
        Ok(claims)
    }

    /// Forgets who did not come back.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn sweep(&self) -> Result<(), StorageError> {
        self.departures.sweep().await
    }
}

/// What is asked for, and a refresh token where the provider is to be asked again.
fn asked_scopes(config: &ProviderConfig) -> String {
    let offline = config.recheck.and(config.profile.offline_scope);
    let offline = offline.filter(|scope| !config.scopes.iter().any(|asked| asked == scope));
    config.scopes.iter().map(String::as_str).chain(offline).collect::<Vec<_>>().join(" ")
}

impl From<FetchError> for SignInError {
    fn from(error: FetchError) -> Self {
        Self::Provider(error.into())
    }
}
