mod examples;
mod life;
mod oidc;
mod outages;
mod verbs;
