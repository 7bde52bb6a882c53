"""Lists what servers are made from: plans, datacenters and operating systems; and tells whose token it is."""
