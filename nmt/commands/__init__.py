"""One file a subcommand: the places that know every other part and put them together."""
