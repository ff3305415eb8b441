mod life;
mod verbs;
