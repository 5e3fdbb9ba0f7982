"""CoTo: what its masks bound, and a network small enough to try it on."""
