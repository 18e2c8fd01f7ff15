"""What a run is told: property files, types and ranges, the command line; no RecBole, no torch."""
