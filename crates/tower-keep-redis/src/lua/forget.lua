forget(1)
return {'yes'}
