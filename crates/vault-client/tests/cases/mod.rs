mod examples;
mod life;
mod outages;
mod verbs;
