"""What may be said of scores: intervals, differences, tiers, ranks, agreement."""
