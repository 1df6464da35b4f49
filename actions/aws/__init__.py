"""What the connections to Amazon's APIs share: how clients are opened, and what errors mean."""
