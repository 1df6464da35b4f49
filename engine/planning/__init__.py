"""What a run will change, and whether it may: plans, policy, brakes."""
