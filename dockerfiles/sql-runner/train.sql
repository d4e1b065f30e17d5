-- What a session's jobs are made of, for the archive of classes: run once when the image is made.
CREATE TABLE orders (id STRING, item STRING, amount DECIMAL(10, 2), placed TIMESTAMP(3), WATERMARK FOR placed AS placed - INTERVAL '1' SECOND)
  WITH ('connector' = 'kafka', 'topic' = 'orders', 'properties.bootstrap.servers' = 'localhost:9092', 'properties.group.id' = 'train',
        'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
CREATE TABLE totals (item STRING, number BIGINT, total DECIMAL(38, 2), PRIMARY KEY (item) NOT ENFORCED)
  WITH ('connector' = 'upsert-kafka', 'topic' = 'totals', 'properties.bootstrap.servers' = 'localhost:9092', 'key.format' = 'json', 'value.format' = 'json');
CREATE TABLE copies (id STRING, item STRING, amount DECIMAL(10, 2))
  WITH ('connector' = 'kafka', 'topic' = 'copies', 'properties.bootstrap.servers' = 'localhost:9092', 'format' = 'json');
CREATE TABLE numbers (n BIGINT, s STRING, p AS PROCTIME()) WITH ('connector' = 'datagen', 'rows-per-second' = '50', 'fields.n.min' = '1', 'fields.n.max' = '9');
CREATE TABLE nothing (s STRING, n BIGINT) WITH ('connector' = 'blackhole');
CREATE VIEW large_orders AS SELECT id, item, amount FROM orders WHERE amount > 100;
INSERT INTO copies SELECT id, UPPER(item), amount FROM large_orders WHERE item LIKE 'a%';
INSERT INTO totals SELECT item, COUNT(*), SUM(CASE WHEN amount > 0 THEN amount ELSE 0 END) FROM orders GROUP BY item;
INSERT INTO nothing SELECT item, COUNT(*) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(placed), INTERVAL '10' SECOND)) GROUP BY item, window_start, window_end;
INSERT INTO nothing SELECT s, SUM(n) FROM numbers GROUP BY s;
INSERT INTO nothing SELECT a.id, b.n FROM orders a JOIN numbers b ON CHAR_LENGTH(a.item) = b.n;
INSERT INTO nothing SELECT s, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY n ORDER BY p) AS r FROM numbers) WHERE r = 1;
