mod examples;
mod life;
mod logins;
mod outages;
mod unix_sockets;
mod verbs;
