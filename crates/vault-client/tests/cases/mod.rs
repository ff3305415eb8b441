mod examples;
mod inline;
mod life;
mod logins;
mod oidc;
mod outages;
mod unix_sockets;
mod verbs;
