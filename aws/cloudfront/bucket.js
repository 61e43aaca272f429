// The bucket under the vault's own name, as conf/bucket.conf is for nginx: a
// CloudFront Function (runtime cloudfront-js-2.0) for both viewer events of the
// behaviour "/bucket/*", whose origin is the bucket, without origin access
// control: the link is signed for the bucket's host and is the permission.
// The behaviour forwards all query strings, and no Host.

function handler(event) {
    return event.context.eventType === 'viewer-request'
        ? handOn(event.request) : answer(event.request, event.response);
}

// Only uploads.  A header that nobody has signed makes S3 refuse the link, and
// cookies and tokens of the vault are not for the bucket.
function handOn(request) {
    if (request.method !== 'PUT' && request.method !== 'OPTIONS') {
        return { statusCode: 405, statusDescription: 'Method Not Allowed' };
    }

    request.uri = request.uri.replace(/^\/bucket/, '');
    request.cookies = {};

    for (const name of Object.keys(request.headers)) {
        if (name === 'authorization' || name.startsWith('x-amz-')) {
            delete request.headers[name];
        }
    }

    return request;
}

// S3 says 200 where clients wait for Azure's 201.
function answer(request, response) {
    if (request.method === 'PUT' && response.statusCode === 200) {
        response.statusCode = 201;
        response.statusDescription = 'Created';
    }

    return response;
}
