mod examples;
mod inline;
mod life;
mod outages;
mod unix_sockets;
mod verbs;
