return {'looked', now, unpack(redis.call('HMGET', key, 'h', 'u', 'c', 'd'))}
