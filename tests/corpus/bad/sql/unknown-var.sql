CREATE TABLE orders (id INT) WITH ('topic' = '${topic.orders}');
CREATE TABLE totals (id INT) WITH ('topic' = '${topic.totals}');
INSERT INTO totals SELECT id FROM orders WHERE id > ${var.laest};
