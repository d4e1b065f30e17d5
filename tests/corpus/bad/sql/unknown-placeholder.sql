INSERT INTO a /*+ OPTIONS('topic' = '${topic.total}') */ SELECT 1;
