"""The controllers: each looks at one object and brings the world a step nearer to what it says."""
