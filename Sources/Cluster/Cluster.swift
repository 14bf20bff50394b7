// Room of Cluster.
