mod life;
mod outages;
mod verbs;
