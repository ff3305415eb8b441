mod examples;
mod life;
mod oidc;
mod outages;
mod unix_sockets;
mod verbs;
