"""wattcast: a meter file in, an honest load forecast out."""
