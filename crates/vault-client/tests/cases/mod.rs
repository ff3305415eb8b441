mod examples;
mod life;
mod outages;
mod unix_sockets;
mod verbs;
