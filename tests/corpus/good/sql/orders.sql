CREATE TABLE orders (id INT) WITH ('connector' = 'kafka', 'topic' = '${topic.orders}', 'format' = 'json',
  'properties.bootstrap.servers' = '${kafka.bootstrap}');
CREATE TABLE totals (total INT) WITH ('connector' = 'kafka', 'topic' = '${topic.totals}', 'format' = 'json',
  'properties.bootstrap.servers' = '${kafka.bootstrap}');
INSERT INTO totals SELECT id FROM orders;
