CREATE TABLE users (user TEXT, password TEXT);
INSERT INTO users VALUES ('alice', 'a');
