"""Flask: pages for people and answers for programs. Values come from `serving`; no model, no feature and no learner is known here."""
