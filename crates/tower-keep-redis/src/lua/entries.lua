return {'entries', redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')}
