CREATE TABLE a (x INT) WITH ('topic' = '${topic.totals}');
