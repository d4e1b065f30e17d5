CREATE TABLE b WITH ('connector' = 'x') AS SELECT * FROM a;
