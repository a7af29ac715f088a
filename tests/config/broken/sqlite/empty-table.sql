CREATE TABLE users (user TEXT, password TEXT);
