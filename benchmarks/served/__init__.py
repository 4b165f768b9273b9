"""Parts of `make bench-serving`: what is asked, who answers, with what load, and what is made of it."""
