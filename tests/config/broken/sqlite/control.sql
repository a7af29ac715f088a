CREATE TABLE users (user TEXT, password TEXT);
INSERT INTO users VALUES ('alice', 'a');
INSERT INTO users VALUES ('b' || char(10) || 'ob', 'b');
